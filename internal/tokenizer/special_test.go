package tokenizer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestConfigIDs: ids of config.json count under their exact names, and what is no id is an error, not the id 0.
func TestConfigIDs(t *testing.T) {
	for _, c := range []struct {
		text string
		eos  idList
		err  string
	}{
		{`{"eos_token_id":2}`, idList{2}, ""},
		{`{"eos_token_id":[2,7]}`, idList{2, 7}, ""},
		{`{"eos_token_id":null}`, nil, ""},
		{`{"EOS_token_id":3,"Eos_Token_Id":4}`, nil, ""},
		{`{"eos_token_id":2,"EOS_TOKEN_ID":3}`, idList{2}, ""},
		{`{"eos_token_id":[2,null]}`, nil, "eos_token_id[1]: null found, want integer"},
		{`{"eos_token_id":[2,2.5]}`, nil, "eos_token_id[1]: number 2.5 found, want integer"},
		{`{"eos_token_id":"2"}`, nil, "eos_token_id: string found, want integer"},
		{`{"eos_token_id":3000000000}`, nil, "want integer from -2147483648 to 2147483647"},
		{`{"eos_token_id":2,"eos_token_id":3}`, nil, `"eos_token_id" stands twice in an object`},
	} {
		path := filepath.Join(t.TempDir(), "config.json")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		var got ids
		err := readConfig(path, &got)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, want %s", c.text, err, c.err)
			}
		} else if err != nil || !slices.Equal(got.EOS, c.eos) {
			t.Errorf("%s: %v, error %v, want %v", c.text, got.EOS, err, c.eos)
		}
	}
}
