package strictjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// shout reads a string and keeps it in capitals.
type shout string

func (s *shout) UnmarshalJSON(raw []byte) error {
	var text string
	if err := Unmarshal(raw, &text); err != nil {
		return err
	}
	*s = shout(strings.ToUpper(text))
	return nil
}

type inner struct {
	Factor float64 `json:"factor"`
}

type sample struct {
	inner
	Name    string             `json:"name"`
	Content string             `json:"content"`
	Size    int                `json:"size"`
	Small   int32              `json:"small"`
	Byte    uint8              `json:"byte"`
	On      bool               `json:"on"`
	Maybe   *float64           `json:"maybe"`
	IDs     []int32            `json:"ids"`
	Texts   []string           `json:"texts"`
	Perhaps []*int             `json:"perhaps"`
	Lists   [][]int            `json:"lists"`
	Parts   []inner            `json:"parts"`
	Table   map[string]int     `json:"table"`
	ByID    map[int32]inner    `json:"by_id"`
	Rest    json.RawMessage    `json:"rest"`
	Any     any                `json:"any"`
	Anys    []any              `json:"anys"`
	Loud    shout              `json:"loud"`
	Pair    [2]float64         `json:"pair"`
	Scale   map[string]float64 `json:"scale"`
	Hidden  string             `json:"-"`
	Plain   string
}

// TestAgrees: what both readers take means the same to both.
func TestAgrees(t *testing.T) {
	for _, text := range []string{
		`{}`, ` { "name" : "a" , "size" : -12 } `, `{"name":"\u00e9\ud83d\ude00\n\/\"\\"}`, `{"small":2147483647,"byte":255,"on":true,"factor":1e-3}`,
		`{"maybe":1.5,"ids":[],"texts":["a","b"],"perhaps":[1,null],"lists":[[1],[],[2,3]]}`, `{"maybe":null,"name":null,"size":null,"ids":null,"table":null}`,
		`{"parts":[{"factor":2},{}],"table":{"a":1,"b":2},"by_id":{"7":{"factor":1}},"rest": [1, {"x":null}] ,"pair":[1,2]}`,
		`{"any":{"a":[1,"x",null,true]},"anys":[null,1],"Plain":"x","unknown":{"deep":[[[1]]]}}`, `{"rest":null,"any":null}`, `{"scale":{"a":0.5}}`, `{"-":"x"}`,
		`{"lists":[],"parts":[],"factor":-0.0,"size":0}`,
	} {
		var got, want sample
		if err := Unmarshal([]byte(text), &got); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v\nwant %+v", text, got, want)
		}
	}
}

func TestExactNames(t *testing.T) {
	var got sample
	if err := Unmarshal([]byte(`{"content":"a","Content":"b","NAME":"x","plain":"y","Factor":3,"loud":"hey"}`), &got); err != nil {
		t.Fatal(err)
	}
	if want := (sample{Content: "a", Loud: "HEY"}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{``, `the text ends where a value is wanted`},
		{`null`, `null found, want object`},
		{`[]`, `list found, want object`},
		{`{"ids":[1,null]}`, `ids[1]: null found, want integer`},
		{`{"texts":["a",null]}`, `texts[1]: null found, want string`},
		{`{"lists":[[1],null]}`, `lists[1]: null found, want list`},
		{`{"lists":[[1,null]]}`, `lists[0][1]: null found, want integer`},
		{`{"parts":[null]}`, `parts[0]: null found, want object`},
		{`{"table":{"a b":null}}`, `table."a b": null found, want integer`},
		{`{"pair":[1,null]}`, `pair[1]: null found, want number`},
		{`{"pair":[1]}`, `pair: a list of 1 found, want 2 elements`},
		{`{"pair":[1,2,3]}`, `pair: a list of 3 found, want 2 elements`},
		{`{"name":"a","size":1,"name":"b"}`, `"name" stands twice in an object`},
		{`{"unknown":{"a":1,"a":2}}`, `unknown: "a" stands twice in an object`},
		{`{"rest":[{"a":1,"a":2}]}`, `rest[0]: "a" stands twice in an object`},
		{`{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"k":1,"l":1,"m":1,"n":1,"o":1,"p":1,"q":1,"r":1,"c":2}`, `"c" stands twice in an object`},
		{`{"name":"\ud800"}`, `name: \ud800 is half of a character: the other half of the surrogate pair is missing`},
		{`{"name":"\udc00x"}`, `name: \udc00 is half of a character: the other half of the surrogate pair is missing`},
		{`{"name":"\ud800\u0041"}`, `name: \ud800 is half of a character: the other half of the surrogate pair is missing`},
		{`{"\ud800":1}`, `\ud800 is half of a character: the other half of the surrogate pair is missing`},
		{`{"unknown":["\ud83dx"]}`, `unknown[0]: \ud83d is half of a character: the other half of the surrogate pair is missing`},
		{"{\"name\":\"\xe9\"}", `name: the string is not UTF-8`},
		{"{\"name\":\"\\n\xe9\"}", `name: the string is not UTF-8`},
		{"{\"name\":\"a\nb\"}", `name: a line end in a string, JSON writes \u000a`},
		{"{\"name\":\"a\x00b\"}", `name: a zero byte in a string, JSON writes \u0000`},
		{`{"size":1.5}`, `size: number 1.5 found, want integer`},
		{`{"size":1.0}`, `size: number 1.0 found, want integer`},
		{`{"size":1e3}`, `size: number 1e3 found, want integer`},
		{`{"small":2147483648}`, `small: number 2147483648 found, want integer from -2147483648 to 2147483647`},
		{`{"ids":[3000000000]}`, `ids[0]: number 3000000000 found, want integer from -2147483648 to 2147483647`},
		{`{"byte":256}`, `byte: number 256 found, want integer from 0 to 255`},
		{`{"byte":-1}`, `byte: number -1 found, want integer from 0 to 255`},
		{`{"size":99999999999999999999}`, `size: number 99999999999999999999 found, want integer from -9223372036854775808 to 9223372036854775807`},
		{`{"factor":1e999}`, `factor: number 1e999 found, want one that 64 bits hold`},
		{`{"factor":NaN}`, `factor: NaN is no JSON number`},
		{`{"factor":-Infinity}`, `factor: -Infinity is no JSON number`},
		{`{"unknown":[Infinity]}`, `unknown[0]: Infinity is no JSON number`},
		{`{"on":True}`, `on: True found, JSON writes true`},
		{`{"any":None}`, `any: None found, JSON writes null`},
		{`{'name':1}`, `'\'' found, want a name in double quotes`},
		{`{"name":'a'}`, `name: ' found, JSON puts strings in double quotes`},
		{`{"size":"12"}`, `size: string found, want integer`},
		{`{"name":12}`, `name: number 12 found, want string`},
		{`{"name":["a"]}`, `name: list found, want string`},
		{`{"on":1}`, `on: number 1 found, want true or false`},
		{`{"ids":{"0":1}}`, `ids: object found, want list`},
		{`{"table":[1]}`, `table: list found, want object`},
		{`{"by_id":{"x":{}}}`, `by_id.x: the name "x" is no integer`},
		{`{"loud":3}`, `loud: number 3 found, want string`},
		{`{"size":01}`, `size: a number that begins with 0`},
		{`{"size":1.}`, `size: a number without digits behind its point`},
		{`{"factor":1e}`, `factor: a number without digits behind its e`},
		{`{"name":"a"`, `the end of the text found in an object, want a comma or its end`},
		{`{"ids":[1`, `ids: the end of the text found in a list, want a comma or its end`},
		{`{"name":"a`, `name: a string without an end`},
		{`{"name":"\x"}`, `name: "\\x" is no escape of JSON`},
		{`{"name" "a"}`, `'"' found behind a name, want a colon`},
		{`{"name":"a",}`, `'}' found, want a name in double quotes`},
		{`{"ids":[1,]}`, `ids[1]: ']' found, want a value`},
		{`{"ids":[1 2]}`, `ids: '2' found in a list, want a comma or its end`},
		{`{} {}`, `'{' behind the end of the value`},
		{"\xef\xbb\xbf{}", `a byte order mark found: save the text as UTF-8 without one`},
		{"\xff\xfe{\x00}\x00", `the text is UTF-16: save it as UTF-8`},
		{"{\n \"parts\": [\n  {},\n  {\"factor\": \"x\"}\n ]\n}", `line 4: parts[1].factor: string found, want number`},
		{"{\n \"unknown\": 1,\n \"loud\": 7\n}", `line 3: loud: number 7 found, want string`},
		{`{"rest":` + strings.Repeat("[", 1001) + strings.Repeat("]", 1001) + `}`, strings.Repeat("[0]", 999)},
	} {
		var v sample
		err := Unmarshal([]byte(c.text), &v)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: error %v", shorten(c.text, 80), err)
		} else if got := err.Error(); got != c.want && !(len(c.want) > 1000 && strings.Contains(got, "more than 1000 lists and objects")) {
			t.Errorf("%s:\ngot  %s\nwant %s", shorten(c.text, 80), got, c.want)
		}
	}
}

func TestMembers(t *testing.T) {
	got, err := Members([]byte("{\"b\": [1],\n \"a\":\n  {\"x\" : 1}, \"B\":null}"))
	want := []Member{{"b", json.RawMessage(`[1]`), 1}, {"a", json.RawMessage(`{"x" : 1}`), 3}, {"B", json.RawMessage(`null`), 3}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("error %v, members (-want +got):\n%s", err, diff)
	}
	for text, want := range map[string]string{"": "the text ends where a value is wanted", "[1]": "list found, want object", "null": "null found, want object",
		`{"a":1,"a":2}`: `"a" stands twice in an object`, "{}x": "'x' behind the end of the value", "hello": "'h' found, want a value"} {
		if _, err := Members([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %s", text, err, want)
		}
	}
}

// FuzzCheck: what is taken is JSON and means what encoding/json makes of it; what that takes and this does not is one of the few
// things this package is there for.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{``, `{}`, `[1,-0,1.5e+3,"a\u0041\ud83d\ude00"]`, `{"a":{"a":[]},"b":null}`, `{"a":1,"a":2}`, `"\ud800"`, "\"\xff\"", `1e999`, ` true `, `nul`, `[NaN]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var got, want any
		err := Unmarshal(text, &got)
		if (Check(text) == nil) != (err == nil) && !strings.Contains(err.Error(), "bits hold") {
			t.Fatalf("Check says %v, Unmarshal %v", Check(text), err)
		}
		wrong := json.Unmarshal(text, &want)
		switch {
		case err == nil && (wrong != nil || !reflect.DeepEqual(got, want)):
			t.Fatalf("got %v; encoding/json: %v, error %v", got, want, wrong)
		case err != nil && wrong == nil && utf8.Valid(text):
			msg := err.Error()
			if !strings.Contains(msg, "stands twice") && !strings.Contains(msg, "half of a character") && !strings.Contains(msg, "within each other") {
				t.Fatalf("refused: %v; encoding/json takes it", err)
			}
		}
	})
}

// TestManyNames: the names of an object are held, so there is an end to them.
func TestManyNames(t *testing.T) {
	var text []byte
	for i := range maxMembers + 2 {
		text = fmt.Appendf(text, `,"%x":0`, i)
	}
	text[0] = '{'
	text = append(text, '}')
	if err := Check(text); err == nil || !strings.Contains(err.Error(), "more than 1048576 names in an object") {
		t.Errorf("got %v", err)
	}
}

// TestEach: members come one by one, and the first error of the function ends it.
func TestEach(t *testing.T) {
	boom := errors.New("boom")
	for _, c := range []struct {
		text, want string
		err        bool
	}{
		{`{}`, "", false},
		{`{"a": 1, "b": [2]}`, "a=1 b=[2]", false},
		{`{"a": 1, "stop": 3, "b" bad`, "a=1", true},
		{`{"a": 1} x`, "a=1", true},
		{`[1]`, "", true},
		{``, "", true},
	} {
		var got []string
		err := Each([]byte(c.text), func(m Member) error {
			if m.Name == "stop" {
				return boom
			}
			got = append(got, m.Name+"="+string(m.Value))
			return nil
		})
		if strings.Join(got, " ") != c.want || (err != nil) != c.err {
			t.Errorf("%s: got %q, %v", c.text, got, err)
		}
		if strings.Contains(c.text, "stop") && !errors.Is(err, boom) {
			t.Errorf("%s: got %v, want what the function returned", c.text, err)
		}
	}
}
