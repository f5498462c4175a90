// Package fault says what is wrong with a file from outside: that it is damaged, that it is another thing than the one
// wanted, or that it is whole and of a kind this program does not read. These are different sentences, each with its way out.
package fault

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"

	"lomo/internal/strictjson"
)

// Error is a refusal with advice for the user.
type Error struct {
	err    error
	advice string
}

func (e *Error) Error() string { return e.err.Error() }
func (e *Error) Unwrap() error { return e.err }

// Hint says what to do.
func (e *Error) Hint() string { return e.advice }

// Refuse is an error with advice of its own.
func Refuse(advice, format string, args ...any) error {
	return &Error{fmt.Errorf(format, args...), advice}
}

// again is the way out of damage.
const again = "copy or download the file again, and compare its size with the original's"

// Damaged is a file of the right kind whose bytes cannot be right.
func Damaged(format string, args ...any) error {
	return &Error{fmt.Errorf("damaged: "+format, args...), again}
}

// Short is a file that ends before what its header announces.
func Short(have, want int64) error {
	return Damaged("the file ends at byte %d, its header says %d", have, want)
}

// Instead recognises by its first bytes a file that is another thing than a model's: what a download, a clone or a mistake
// left in its place. It is nil for bytes that it does not know.
func Instead(head []byte, size int64) error {
	if size == 0 {
		return Refuse("the download or copy did not finish: fetch it again", "the file is empty (0 bytes)")
	}
	text := strings.ToLower(string(bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")))
	switch {
	case strings.HasPrefix(text, "version https://git-lfs") || strings.HasPrefix(text, "version https://hawser"):
		return Refuse("run `git lfs pull` in its folder, or download the file itself", "a Git LFS pointer%s, not the file itself", pointed(text))
	case strings.HasPrefix(text, "/annex/objects/") || strings.HasPrefix(text, "../.git/annex/") || strings.HasPrefix(text, ".git/annex/"):
		return Refuse("run `git annex get` on it, or download the file itself", "a git-annex pointer, not the file itself")
	case strings.HasPrefix(text, "# xet version") || strings.HasPrefix(text, "version = \"1.0\"\nfilesize"):
		return Refuse("download the file itself, e.g. with `hf download`", "a Xet pointer, not the file itself")
	case strings.HasPrefix(text, "<!doctype") || strings.HasPrefix(text, "<html") || strings.HasPrefix(text, "<?xml") || strings.HasPrefix(text, "<head"):
		return Refuse("download the file itself from its raw link (…/resolve/main/…); a gated model needs a login", "a web page, saved in place of the file")
	case strings.HasPrefix(text, "entry not found") || strings.HasPrefix(text, "invalid username or password") || strings.HasPrefix(text, "access to model") ||
		strings.HasPrefix(text, "repository not found") || strings.HasPrefix(text, `{"error":`) || strings.HasPrefix(text, "unauthorized"):
		return Refuse("check the address and the access to the model, then download the file again", "a server's message, saved in place of the file: %q", Line(string(head)))
	}
	if isSafetensors(head) { // its length may look like any mark
		return nil
	}
	for _, k := range kinds {
		if len(head) >= k.at && bytes.HasPrefix(head[k.at:], []byte(k.magic)) {
			return Refuse(k.advice, "%s, not the file itself", k.what)
		}
	}
	return nil
}

var kinds = []struct {
	at                  int
	magic, what, advice string
}{
	{0, "\x1f\x8b", "a gzip archive", "unpack it first: gunzip, or tar xzf for a .tar.gz"},
	{0, "\x28\xb5\x2f\xfd", "a zstd archive", "unpack it first: zstd -d"},
	{0, "\xfd7zXZ\x00", "an xz archive", "unpack it first: xz -d"},
	{0, "BZh", "a bzip2 archive", "unpack it first: bunzip2"},
	{0, "7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"},
	{0, "Rar!", "a rar archive", "unpack it first"},
	{257, "ustar", "a tar archive", "unpack it first: tar xf"},
	{0, "%PDF", "a PDF document", "download the file itself"},
	{0, "\x93NUMPY", "a NumPy array", "save the model with transformers: model.save_pretrained(dir)"},
	{0, "\x89HDF\r\n", "an HDF5 file of Keras or TensorFlow", "save the model with transformers: from_pretrained(dir, from_tf=True), then save_pretrained(dir)"},
}

// Kinds of files that hold models, by their first bytes.
const (
	gguf = "GGUF"
	zip  = "PK\x03\x04"
)

// Other is Instead, and tells also a model's file that has the name of another format. want is that format.
func Other(head []byte, size int64, want string) error {
	if err := Instead(head, size); err != nil {
		return err
	}
	switch {
	case isSafetensors(head):
		if want == "safetensors" {
			return nil
		}
		return Refuse("give the file the name model.safetensors, beside its config.json", "a safetensors file, where a %s file is wanted", want)
	case want != "GGUF" && bytes.HasPrefix(head, []byte(gguf)):
		return Refuse("give the file the ending .gguf and its path as the model", "a GGUF file, where a %s file is wanted", want)
	case want != "torch.save" && bytes.HasPrefix(head, []byte(zip)):
		return Refuse("a file of torch.save is to be named pytorch_model.bin; unpack any other zip archive", "a zip archive or a file of torch.save, where a %s file is wanted", want)
	case want != "torch.save" && len(head) > 1 && head[0] == 0x80 && head[1] <= 5:
		return Refuse("load it with PyTorch and save it as safetensors", "a Python pickle, where a %s file is wanted", want)
	}
	return nil
}

// isSafetensors tells a length of less than 4 GiB, with a JSON object after it.
func isSafetensors(head []byte) bool {
	return len(head) > 8 && head[8] == '{' && bytes.Equal(head[4:8], make([]byte, 4))
}

// Head is the first bytes of a file, as many as Instead looks at.
func Head(r io.ReaderAt) []byte {
	b := make([]byte, 512)
	n, _ := r.ReadAt(b, 0) // fewer are fine
	return b[:n]
}

// InsteadOf is Instead for the file at path, nil where it cannot be read.
func InsteadOf(path string) error {
	st, err := os.Stat(path)
	if err != nil || !st.Mode().IsRegular() {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	return Instead(Head(f), st.Size())
}

// pointed is the size in a Git LFS pointer.
func pointed(text string) string {
	_, rest, ok := strings.Cut(text, "\nsize ")
	digits, _, _ := strings.Cut(rest, "\n")
	if n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64); ok && err == nil && n >= 0 {
		return fmt.Sprintf(" to a file of %d bytes", n)
	}
	return ""
}

// Line is the first line of a file's own text, at most 80 characters of it and nothing that moves a terminal.
func Line(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}

// Number is a number of things: "1 step", "2 steps".
func Number(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Count is "12 tensors" or "tensor", for a message that goes on with the first of them.
func Count(n int, what string) string {
	if n == 1 {
		return what
	}
	return fmt.Sprintf("%d %ss, first", n, what)
}

// JSON reads a JSON text into what v points to, with exact names and types. What is wrong is told by line and key.
func JSON(data []byte, v any) error {
	err := strictjson.Unmarshal(data, v)
	var wrong *strictjson.Error
	switch {
	case !errors.As(err, &wrong):
		return err
	case strings.Contains(wrong.Msg, "is no JSON number"):
		return Refuse("Python writes such numbers, JSON has none: give the key a number, or null", "%w", err)
	case wrong.Offset >= len(bytes.TrimSpace(data)):
		return Damaged("the JSON ends in the middle, at byte %d", len(data))
	case strings.Contains(wrong.Msg, "without an end"):
		return Damaged("%w", err)
	}
	return Refuse("correct that place, or copy the file again", "%w", err)
}
