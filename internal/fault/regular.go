package fault

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"
)

// Open opens an ordinary file, or what a link to one leads to. A pipe, device, socket or folder in its place is refused at once: to open a pipe that
// nobody writes to would wait for ever, and a device has no end. Errors name the path.
func Open(path string) (*os.File, int64, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		if st, serr := os.Stat(path); serr == nil && !st.Mode().IsRegular() { // a socket cannot even be opened
			return nil, 0, irregular(path, st)
		}
		if to := Dangling(path); to != nil {
			return nil, 0, to
		}
		return nil, 0, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = irregular(path, st)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, st.Size(), nil
}

// Dangling is an error for a link that leads nowhere, as in a cache whose blob was removed, or in a circle. Such a name is not a missing file: what was
// meant to be there is. Nil for all else.
func Dangling(path string) error {
	to, err := os.Readlink(path)
	if err != nil {
		return nil
	}
	if _, err = os.Stat(path); err == nil || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return Refuse("download the file again, or remove the link", "%s: a link to %s, which is not there", path, Line(to))
}

func irregular(path string, st os.FileInfo) error {
	what := "not a regular file"
	switch mode := st.Mode(); {
	case mode.IsDir():
		what = "a folder, not a file"
	case mode&os.ModeNamedPipe != 0:
		what = "a pipe, not a regular file"
	case mode&os.ModeDevice != 0:
		what = "a device, not a regular file"
	case mode&os.ModeSocket != 0:
		what = "a socket, not a regular file"
	}
	return Refuse("give a file on a disk", "%s: %s", path, what)
}

// Read is what an ordinary file of at most limit bytes holds.
func Read(path string, limit int64) ([]byte, error) {
	f, size, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > limit {
		return nil, tooLarge(path, size, limit)
	}
	raw := make([]byte, 0, size+1)
	for {
		if len(raw) == cap(raw) {
			raw = append(raw, 0)[:len(raw)]
		}
		n, err := f.Read(raw[len(raw):cap(raw)])
		switch raw = raw[:len(raw)+n]; {
		case int64(len(raw)) > limit: // it has grown
			return nil, tooLarge(path, int64(len(raw)), limit)
		case err == io.EOF:
			return raw, nil
		case err != nil:
			return nil, err
		}
	}
}

func tooLarge(path string, size, limit int64) error {
	return Refuse("give the file itself", "%s: %d bytes, at most %d are read", path, size, limit)
}

// pipeWait is how long a pipe is given to get a writer. Tests shorten it.
var pipeWait = 5 * time.Second

// Input is an open file of which a user may also give a pipe, such as a shell's <(command), or the process's own stdin by its name.
type Input struct {
	f    *os.File
	Size int64 // 0 for what is no file on a disk
	head []byte
}

// OpenInput opens an input. A pipe that nobody writes to is refused after a while, a device, socket or folder at once. Errors name the path.
func OpenInput(path string) (*Input, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		if st, serr := os.Stat(path); serr == nil && st.Mode()&(os.ModeSocket|os.ModeDevice) != 0 {
			return nil, irregular(path, st)
		}
		return nil, err
	}
	in := &Input{f: f}
	st, err := f.Stat()
	switch {
	case err != nil:
	case st.Mode().IsRegular():
		in.Size = st.Size()
	case st.Mode()&os.ModeNamedPipe != 0:
		err = in.await(path)
	default:
		if own, serr := os.Stdin.Stat(); serr != nil || st.Mode()&os.ModeCharDevice == 0 || !os.SameFile(st, own) || !lasting(st) {
			err = irregular(path, st)
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return in, nil
}

// lasting tells a device that waits for somebody who writes, as a terminal does, from one that gives bytes without end.
func lasting(st os.FileInfo) bool {
	for _, endless := range []string{"/dev/zero", "/dev/urandom", "/dev/random", "/dev/full"} {
		if e, err := os.Stat(endless); err == nil && os.SameFile(e, st) {
			return false
		}
	}
	return true
}

// await waits for the first bytes of a pipe.
func (in *Input) await(path string) error {
	head := make([]byte, 512)
	for end := time.Now().Add(pipeWait); ; time.Sleep(20 * time.Millisecond) {
		n, err := in.f.Read(head)
		switch {
		case n > 0:
			in.head = head[:n]
			return nil
		case err != nil && err != io.EOF:
			return err
		case time.Now().After(end):
			return Refuse("start what writes to it first, or give a file on a disk", "%s: a pipe, and nobody writes to it", path)
		}
	}
}

func (in *Input) Read(p []byte) (int, error) {
	if len(in.head) > 0 {
		n := copy(p, in.head)
		in.head = in.head[n:]
		return n, nil
	}
	return in.f.Read(p)
}

// Close closes the input.
func (in *Input) Close() error { return in.f.Close() }

// Bare is an error of Open, OpenInput or Read without the path, for a message that names it already.
func Bare(err error, path string) error {
	var refused *Error
	var at *os.PathError
	switch {
	case errors.As(err, &refused):
		return Refuse(refused.advice, "%s", strings.TrimPrefix(refused.Error(), path+": "))
	case errors.As(err, &at):
		return at.Err
	}
	return err
}
