package checkpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestLimitsOnFiles: an index or a configuration larger than any in use is refused by name, before it is held; what just fits is read.
func TestLimitsOnFiles(t *testing.T) {
	members := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "\"%x\":0,", i)
		}
		return b.String()
	}
	for _, c := range []struct {
		file string
		more string // at the beginning of the object
		size int64  // filled up to, with spaces
		hole int64  // instead, of zeros
		want string
	}{
		{configName, "", maxConfig, 0, ""},
		{configName, "", maxConfig + 1, 0, "2097153 bytes"},
		{configName, "", 0, 1 << 40, "1099511627776 bytes"},
		{indexName, "", maxIndex, 0, ""},
		{indexName, "", maxIndex + 1, 0, "4194305 bytes"},
		{indexName, "", 0, 1 << 40, "1099511627776 bytes"},
		{configName, members(100000), 0, 0, ""},
		{configName, members(100001), 0, 0, "more than 100000 names"},
		{configName, members(200000), 0, 0, "more than 100000 names"},
		{configName, `"a":[` + strings.Repeat(`{"b":0},`, 100001) + "0],", 0, 0, "more than 100000 names"},
		{indexName, `"metadata":{` + members(300000) + `"z":0},`, 0, 0, "more than 100000 names"},
	} {
		dir := t.TempDir()
		named(t, dir, 40, func(n string) string { return n }) // in shards
		path := filepath.Join(dir, c.file)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(string(raw), "{", "{"+c.more, 1)
		if c.more != "" && c.file == configName {
			text = "{" + strings.TrimSuffix(c.more, ",") + "}"
		}
		text += strings.Repeat(" ", max(0, int(c.size)-len(text)))
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if c.hole > 0 {
			if err := os.Truncate(path, c.hole); err != nil {
				t.Skip(err) // a file system without holes
			}
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		src, err := Open(dir)
		runtime.ReadMemStats(&after)
		if err == nil {
			src.Close()
		}
		what := fmt.Sprintf("%s of %d bytes", c.file, max(len(text), int(c.hole)))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Count(err.Error(), path) != 1) {
			t.Errorf("%s: %.300v, want %q", what, err, c.want)
		}
		if made := after.TotalAlloc - before.TotalAlloc; c.want != "" && made > 16<<20 {
			t.Errorf("%s: %d MiB made", what, made>>20)
		}
	}
}
