package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"lomo/internal/checkpoint"
	"lomo/internal/checkpoint/torch"
	"lomo/internal/config"
	"lomo/internal/config/peers"
	"lomo/internal/data"
	"lomo/internal/jinja"
	"lomo/internal/job"
	"lomo/internal/tensor"
	"lomo/internal/tokenizer"
	"lomo/internal/train"
)

// A format that the program reads: a small file of it, and what is done with one. read gets a folder that is the test's own, with
// the file in it under its name.
type readable struct {
	name string
	file []byte
	read func(path string) error
}

// mutant number n of a file: the same bytes for the same number, whichever machine. What is changed is of a few kinds: a bit, a byte, a
// length that is set to an extreme, a part that is gone, doubled, or put elsewhere, an end in the middle, a number in a text.
func mutant(file []byte, n int) []byte {
	r := rand.New(rand.NewPCG(uint64(n), 15))
	b := slices.Clone(file)
	part := func() (i, j int) {
		i = r.IntN(len(b))
		return i, min(len(b), i+1+r.IntN(1+min(64, len(b)/2)))
	}
	for range 1 + r.IntN(3) {
		if len(b) == 0 {
			return b
		}
		at := r.IntN(len(b))
		switch n % 9 {
		case 0:
			b[at] ^= 1 << r.IntN(8)
		case 1:
			b[at] = []byte{0, 1, 0x7f, 0x80, 0xff, '{', '[', '"', '9', '-'}[r.IntN(10)]
		case 2: // a length
			var raw [8]byte
			binary.LittleEndian.PutUint64(raw[:], []uint64{0, 1, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 40, 1<<63 - 1, 1<<64 - 1, uint64(len(b))}[r.IntN(9)])
			copy(b[at:], raw[:[]int{2, 4, 8}[r.IntN(3)]])
		case 3:
			b = b[:at]
		case 4:
			i, j := part()
			b = slices.Delete(b, i, j)
		case 5:
			i, j := part()
			b = slices.Insert(b, at, slices.Clone(b[i:j])...)
		case 6:
			i, j := part()
			copy(b[at:], slices.Clone(b[i:j]))
		case 7: // many times
			i, j := part()
			b = slices.Insert(b, at, bytes.Repeat(b[i:j], 1+r.IntN(1000))...)
		case 8: // a number in a text; where there is none, a length of the beginning
			digits := func(c byte) bool { return c >= '0' && c <= '9' }
			from := slices.IndexFunc(b[at:], digits)
			if from < 0 {
				copy(b[at:], []byte{0, 0, 0, 0x40})
				break
			}
			from += at
			to := from
			for to < len(b) && digits(b[to]) {
				to++
			}
			b = slices.Replace(b, from, to, []byte([]string{"0", "-1", "16777216", "2147483648", "9223372036854775807", "1e308", "NaN"}[r.IntN(7)])...)
		}
	}
	return b
}

// readables are the formats with a file of each, small and whole.
func readables(t *testing.T) []readable {
	model := filepath.Join(t.TempDir(), "model")
	if _, err := job.New(job.NewOptions{Preset: "tiny", Dir: model, DType: "bf16", Seed: 1}); err != nil {
		t.Fatal(err)
	}
	load := func(path string) []byte {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	// The side files of a model change in a copy of it: its weights are a link that is read anew each time.
	openModel := func(path string) error {
		for _, name := range []string{"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json"} {
			at := filepath.Join(filepath.Dir(path), name)
			if _, err := os.Stat(at); err == nil {
				continue
			}
			if raw, err := os.ReadFile(filepath.Join(model, name)); err == nil {
				if err := os.WriteFile(at, raw, 0o644); err != nil {
					return err
				}
			}
		}
		m, err := job.OpenModel(filepath.Dir(path))
		if err != nil {
			return err
		}
		defer m.Close()
		_, err = m.Tokenizer()
		return err
	}
	openTokenizer := func(path string) error {
		tok, err := tokenizer.Open(path)
		if err != nil {
			return err
		}
		ids, err := tok.Encode("ab a\u00e9 <x>\n12 the", true)
		tok.Decode(ids, false)
		return err
	}
	weights := func(path string) error {
		src, err := checkpoint.Open(path)
		if err != nil {
			return err
		}
		defer src.Close()
		for _, x := range src.Tensors() {
			rows, size := 1, tensor.F32.Size()
			for i, d := range x.Shape {
				if i == 0 {
					rows = d
				} else {
					size *= d
				}
			}
			if rows*size > 64<<20 {
				return fmt.Errorf("a tensor of %d bytes", rows*size)
			}
			if err := src.ReadRows(x.Name, 0, rows, make([]byte, rows*size), tensor.F32); err != nil {
				return err
			}
		}
		return nil
	}
	records := func(kind string) func(string) error {
		return func(path string) error {
			_, err := data.Load([]data.Source{{Path: path, Type: kind}}, tokenizer.NewByteLevel(), data.Options{SequenceLen: 64, MicroBatch: 1})
			return err
		}
	}
	ranks := ""
	for i := range 256 {
		ranks += base64.StdEncoding.EncodeToString([]byte{byte(i)}) + " " + strconv.Itoa(i) + "\n"
	}
	saved := t.TempDir()
	at := filepath.Join(saved, "checkpoint-3")
	if err := checkpoint.SaveDir(saved, "checkpoint-3", func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "lomo_state.json"), []byte(`{"step":3,"total":9,"seen_tokens":77,"last_norm":1.5,"updates":3}`), 0o644)
	}); err != nil {
		t.Fatal(err)
	}
	manifest := load(filepath.Join(at, "lomo_manifest.json"))
	testdata := "../checkpoint/testdata/"
	piece := func(s string) string { return "\x0a" + string(rune(len(s)+2)) + "\x0a" + string(rune(len(s))) + s }
	return []readable{
		{"m.gguf", load(testdata + "llama.gguf"), weights},
		{"gemma3.gguf", load(testdata + "families/gemma3.gguf"), func(path string) error {
			if err := openTokenizer(path); err != nil {
				return err
			}
			return weights(path)
		}},
		{"qwen3-00002-of-00003.gguf", load(testdata + "families/qwen3-00002-of-00003.gguf"), func(path string) error {
			for _, name := range []string{"qwen3-00001-of-00003.gguf", "qwen3-00003-of-00003.gguf"} {
				if err := os.WriteFile(filepath.Join(filepath.Dir(path), name), load(testdata+"families/"+name), 0o644); err != nil {
					return err
				}
			}
			return weights(path)
		}},
		{"model.safetensors", load(filepath.Join(model, "model.safetensors")), openModel},
		{"config.json", load(filepath.Join(model, "config.json")), openModel},
		{"tokenizer_config.json", []byte(`{"eos_token":"</s>","added_tokens_decoder":{"5":{"content":"b","normalized":true}},"chat_template":"{% for m in messages %}{{ m.content }}{% endfor %}"}`), openModel},
		{"generation_config.json", []byte(`{"eos_token_id":[1,2],"temperature":0.5,"top_k":50,"bos_token_id":1}`), openModel},
		{"pytorch_model.bin", load(testdata + "torch/pytorch_model.bin"), func(path string) error {
			file, err := torch.Open(path)
			if err != nil {
				return err
			}
			defer file.Close()
			for i := range file.Tensors {
				x := &file.Tensors[i]
				n := x.DType.Size()
				for _, d := range x.Shape {
					n *= d
				}
				if err := file.ReadRaw(x, 0, make([]byte, n)); err != nil {
					return err
				}
			}
			return nil
		}},
		{"consolidated.00.pth", load(testdata + "meta2/consolidated.00.pth"), func(path string) error {
			for _, name := range []string{"params.json", "consolidated.01.pth"} {
				if raw, err := os.ReadFile(testdata + "meta2/" + name); err == nil {
					if err := os.WriteFile(filepath.Join(filepath.Dir(path), name), raw, 0o644); err != nil {
						return err
					}
				}
			}
			return weights(filepath.Dir(path))
		}},
		{"tokenizer.json", []byte(`{"version":"1.0","normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Replace","pattern":{"Regex":"a+"},"content":"aa"}]},` +
			`"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":true,"use_regex":true},"decoder":{"type":"ByteLevel"},"post_processor":null,` +
			`"added_tokens":[{"id":5,"content":"<x>","lstrip":true,"special":true}],"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"t":3,"h":4},"merges":["a b"]}}`), openTokenizer},
		{"tokenizer.model", []byte(piece("<unk>") + piece("a") + piece("b") + piece("ab") + piece("the")), openTokenizer},
		{"tiktoken.model", []byte(ranks), openTokenizer},
		{"t.jinja", []byte("{% set ns = namespace(n=0) %}{% for m in messages %}{% if m.role == 'user' %}{{ m.content|trim ~ '\\n' }}{% else %}{{ m|tojson }}{% set ns.n = ns.n + 1 %}{% endif %}{% endfor %}{{ [1, 2, 3][:2]|join(',') * 3 }}"),
			func(path string) error {
				source, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				c, err := jinja.Compile(string(source))
				if err != nil {
					return err
				}
				vars, turn := jinja.NewDict(), jinja.NewDict()
				turn.Set("role", "user")
				turn.Set("content", jinja.Marked("a text", 0))
				vars.Set("messages", jinja.NewList(turn, turn))
				_, err = c.Render(vars, jinja.Options{})
				return err
			}},
		{"m.jsonl", []byte(`{"messages":[{"role":"user","content":"a\u00e9"},{"role":"assistant","content":"b"}]}` + "\n" + `{"messages":[{"role":"user","content":"1"},{"role":"assistant","content":"2"}]}` + "\n"), records("messages")},
		{"t.jsonl", []byte(`{"input_ids":[1,2,3,4],"labels":[-100,2,3,4]}` + "\n" + `{"input_ids":[5,6],"labels":[5,6]}` + "\n"), records("tokenized")},
		{"d.json", []byte("[\n{\"text\": \"one\"},\n{\"text\": \"two, three\"}\n]\n"), records("text")},
		{"d.csv", []byte("text,n\n\"one, \"\"two\"\"\",1\nthree,2\n"), records("text")},
		{"p.parquet", load("../data/records/testdata/tokenized.parquet"), records("tokenized")},
		{"plain.parquet", load("../data/records/testdata/plain.parquet"), records("text")},
		{"lomo_manifest.json", manifest, func(path string) error {
			if err := os.WriteFile(filepath.Join(filepath.Dir(path), "lomo_state.json"), load(filepath.Join(at, "lomo_state.json")), 0o644); err != nil {
				return err
			}
			return checkpoint.Intact(filepath.Dir(path))
		}},
		{"lomo_state.json", load(filepath.Join(at, "lomo_state.json")), func(path string) error {
			_, err := train.ReadState(filepath.Dir(path))
			return err
		}},
		{"run.yaml", []byte("model: m\noutput_dir: out\nlearning_rate: 1e-3\nmax_steps: 10\ndatasets:\n  - path: a.jsonl\n    type: text\n    weight: 2\nseed: 7\n"), func(path string) error {
			_, err := config.Load(config.Input{File: path})
			return err
		}},
		{"axolotl.yml", load("../config/peers/testdata/axolotl-full.yml"), func(path string) error {
			_, err := peers.Import(peers.Options{File: path})
			return err
		}},
		{"dataset_info.json", []byte(`{"mine":{"file_name":"a.json","formatting":"sharegpt","columns":{"messages":"conversations"},"tags":{"role_tag":"from"}}}`), func(path string) error {
			yaml := filepath.Join(filepath.Dir(path), "sft.yaml")
			if err := os.WriteFile(yaml, []byte("model_name_or_path: m\nstage: sft\nfinetuning_type: full\ndataset: mine\ndataset_dir: "+filepath.Dir(path)+"\ntemplate: llama3\noutput_dir: out\n"), 0o644); err != nil {
				return err
			}
			_, err := peers.Import(peers.Options{File: yaml})
			return err
		}},
	}
}

// TestMutants: whatever the bytes of a file, what reads it gives an error or a value, soon and in little memory. LOMO_MUTANTS is
// their number of a format: scripts/proof has 500.
func TestMutants(t *testing.T) {
	count := 50
	if v := os.Getenv("LOMO_MUTANTS"); v != "" {
		var err error
		if count, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	}
	const mib, most = 1 << 20, 10 * time.Second
	refused := map[string]int{}
	var mostMade int64
	var longest time.Duration
	for _, f := range readables(t) {
		dir := t.TempDir()
		path := filepath.Join(dir, f.name)
		try := func(n int, raw []byte) (err error) {
			if err := os.WriteFile(path, raw, 0o644); err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			defer func() {
				if p := recover(); p != nil {
					t.Errorf("%s, mutant %d: panic: %v", f.name, n, p)
				}
				runtime.ReadMemStats(&after)
				// What was made in all bounds what was held; a file that grew is held a few times, by its own size.
				made := int64(after.TotalAlloc-before.TotalAlloc) - 16*int64(len(raw))
				mostMade, longest = max(mostMade, made), max(longest, time.Since(start))
				if made > 64*mib {
					t.Errorf("%s, mutant %d of %d bytes: %d MiB made", f.name, n, len(raw), made/mib)
				}
				if took := time.Since(start); took > most {
					t.Errorf("%s, mutant %d: %v", f.name, n, took)
				}
				if err == nil {
					return
				}
				var said bytes.Buffer
				printError(&said, err)
				for line := range strings.Lines(said.String()) {
					if wrong := illFormed(strings.TrimSuffix(strings.ReplaceAll(line, dir, ""), "\n")); wrong == "a control character" {
						t.Errorf("%s, mutant %d: %s: %q", f.name, n, wrong, line)
					}
				}
				if w := goWords.FindString(strings.ReplaceAll(said.String(), dir, "")); w == "runtime" || w == "unmarshal" || w == "strconv" || w == "struct field" {
					t.Errorf("%s, mutant %d: says %q: %s", f.name, n, w, said.String())
				}
			}()
			return f.read(path)
		}
		if err := try(-1, f.file); err != nil {
			t.Errorf("%s as it is: %v", f.name, err)
			continue
		}
		for n := range count {
			if try(n, mutant(f.file, n)) != nil {
				refused[f.name]++
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(refused)) {
		t.Logf("%s: %d of %d refused", name, refused[name], count)
	}
	t.Logf("%d formats that refuse, at most %d MiB made beyond the file, at most %v", len(refused), mostMade/mib, longest.Round(time.Millisecond))
	if len(refused) < 20 {
		t.Errorf("only %d formats refuse anything", len(refused))
	}
}
