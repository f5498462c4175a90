package fault

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// TestInstead: what stands in place of a file is named, with a way out; what may be the file itself is not.
func TestInstead(t *testing.T) {
	tar := make([]byte, 512)
	copy(tar[257:], "ustar\x0000")
	for name, c := range map[string]struct{ head, want, hint string }{
		"lfs":      {"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 4976698672\n", "a Git LFS pointer to a file of 4976698672 bytes", "git lfs pull"},
		"lfs crlf": {"version https://git-lfs.github.com/spec/v1\r\noid sha256:4d7a\r\nsize 12\r\n", "a Git LFS pointer to a file of 12 bytes", "git lfs pull"},
		"old lfs":  {"version https://hawser.github.com/spec/v1\n", "a Git LFS pointer, not", "git lfs pull"},
		"annex":    {"/annex/objects/SHA256E-s100--00.safetensors\n", "git-annex", "git annex get"},
		"page":     {"\n<!DOCTYPE html><html>", "a web page", "raw link"},
		"page bom": {"\xef\xbb\xbf<html lang=en>", "a web page", "raw link"},
		"s3":       {`<?xml version="1.0"?><Error>`, "a web page", "raw link"},
		"json":     {`{"error":"Repository not found"}`, `a server's message, saved in place of the file: "{\"error\"`, "access"},
		"text":     {"Invalid username or password.\x1b[31m", `"Invalid username or password.[31m"`, "access"},
		"gzip":     {"\x1f\x8b\x08\x00", "a gzip archive", "gunzip"},
		"zstd":     {"\x28\xb5\x2f\xfd", "a zstd archive", "zstd -d"},
		"xz":       {"\xfd7zXZ\x00", "an xz archive", "xz -d"},
		"bzip2":    {"BZh91AY", "a bzip2 archive", "bunzip2"},
		"tar":      {string(tar), "a tar archive", "tar xf"},
		"hdf5":     {"\x89HDF\r\n\x1a\n", "HDF5", "from_tf"},
		"numpy":    {"\x93NUMPY\x01", "a NumPy array", "save_pretrained"},
		"empty":    {"", "empty (0 bytes)", "fetch it again"},
	} {
		err := Instead([]byte(c.head), int64(len(c.head)))
		var f *Error
		if !errors.As(err, &f) || !strings.Contains(f.Error(), c.want) || !strings.Contains(f.Hint(), c.hint) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, head := range []string{"\x10\x00\x00\x00\x00\x00\x00\x00{}", "GGUF", "PK\x03\x04", "{\n  \"model\": 1}", "\x80\x02}", "version", "x",
		"\x1f\x8b\x00\x00\x00\x00\x00\x00{", "BZh\x00\x00\x00\x00\x00{", "\x80\x02\x00\x00\x00\x00\x00\x00{\"a\""} {
		if err := Instead([]byte(head), int64(len(head))); err != nil {
			t.Errorf("%q: %v", head, err)
		}
	}
}

// TestOther: one format under the name of another.
func TestOther(t *testing.T) {
	heads := map[string]string{"safetensors": "\x10\x00\x00\x00\x00\x00\x00\x00{\"a\"", "GGUF": "GGUF\x03\x00\x00\x00", "torch.save": "PK\x03\x04"}
	for is, head := range heads {
		for want := range heads {
			err := Other([]byte(head), 99, want)
			if is == want && err != nil || is != want && (err == nil || !strings.Contains(err.Error(), "where a "+want+" file is wanted")) {
				t.Errorf("%s as %s: %v", is, want, err)
			}
		}
	}
}

// TestAnyLength: whatever the length of its header, a safetensors file is one.
func TestAnyLength(t *testing.T) {
	for _, n := range []uint32{0x280, 0x480, 0x8b1f, 0x685a42, 0x21726152, 0x4b50, 0x46554747, 0x3c, 0x7b} {
		head := append(binary.LittleEndian.AppendUint64(nil, uint64(n)), "{\"a\":"...)
		if err := Other(head, 1000, "safetensors"); err != nil {
			t.Errorf("%#x: %v", n, err)
		}
	}
}

// TestJSON: errors of JSON without Go's words.
func TestJSON(t *testing.T) {
	type config struct {
		Layers *int                `json:"num_hidden_layers"`
		Eps    float64             `json:"rms_norm_eps"`
		Tied   bool                `json:"tie"`
		Name   string              `json:"model_type"`
		List   []int               `json:"list"`
		Map    map[string]string   `json:"weight_map"`
		Rope   struct{ F float64 } `json:"rope"`
	}
	for text, want := range map[string]string{
		`{"num_hidden_layers": "12"}`: `num_hidden_layers: string found, want integer`,
		`{"num_hidden_layers": 1.5}`:  `num_hidden_layers: number 1.5 found, want integer`,
		`{"rms_norm_eps": "1e-5"}`:    `rms_norm_eps: string found, want number`,
		`{"tie": 1}`:                  `tie: number 1 found, want true or false`,
		`{"model_type": {}}`:          `model_type: object found, want string`,
		`{"list": true}`:              `list: true or false found, want list`,
		`{"weight_map": {"a": 1}}`:    `weight_map.a: number 1 found, want string`,
		`{"rope": {"F": "x"}}`:        `rope.F: string found, want number`,
		`[1]`:                         `list found, want object`,
		"{\n\"a\": Infinity}":         `line 2: a: Infinity is no JSON number`,
		"{\n\n\"a\": -Infinity}":      `line 3: a: -Infinity is no JSON number`,
		`{"a": [0.0, NaN]}`:           `a[1]: NaN is no JSON number`,
		`{"a": 'b'}`:                  `JSON puts strings in double quotes`,
		`{"a": 1`:                     `damaged: the JSON ends in the middle, at byte 7`,
		"":                            `damaged: the JSON ends in the middle, at byte 0`,
		`{"a": True}`:                 `a: True found, JSON writes true`,
	} {
		var c config
		err := JSON([]byte(text), &c)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "Go ") {
			t.Errorf("%s: %v, want %s", text, err, want)
			continue
		}
		if h := (interface{ Hint() string })(nil); !errors.As(err, &h) || h.Hint() == "" {
			t.Errorf("%s: no hint", text)
		}
	}
}
