package data

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lomo/internal/tokenizer"
)

// fake is a tokenizer of bytes: id 10+b is byte b, 1 is bos, 2 eos, 3 opens a chat turn. With mark set it puts token 4
// before every text, as SentencePiece puts ▁; with pairs it merges a space with the byte behind it into 300+byte, with
// lines a line end likewise. With endless set it has no eos. Bytes 0 and 1 are added tokens, eos and bos.
type fake struct{ bos, mark, pairs, lines, endless bool }

func (f fake) EncodeOffsets(text string, special bool) (ids []int32, offs [][2]int, err error) {
	add := func(id int32, from, to int) { ids, offs = append(ids, id), append(offs, [2]int{from, to}) }
	if special && f.bos {
		add(1, -1, -1)
	}
	if f.mark && text != "" {
		add(4, 0, 0)
	}
	for i := 0; i < len(text); i++ {
		if text[i] < 2 {
			add(2-int32(text[i]), i, i+1)
			continue
		}
		if i+1 < len(text) && (f.pairs && text[i] == ' ' || f.lines && text[i] == '\n') {
			add(300+int32(text[i+1]), i, i+2)
			i++
			continue
		}
		add(10+int32(text[i]), i, i+1)
	}
	return ids, offs, nil
}

func (f fake) ChatTokens(msgs []tokenizer.Message, o tokenizer.ChatOptions) (c tokenizer.Conversation, err error) {
	roles := o.Roles
	if roles == nil {
		roles = []string{"assistant"}
	}
	for _, m := range msgs {
		learn := slices.Contains(roles, m.Role)
		if m.Train != nil {
			learn = *m.Train
		}
		c.IDs, c.Train = append(c.IDs, 3, 10+int32(m.Role[0])), append(c.Train, false, false)
		for _, b := range []byte(m.Content) {
			c.IDs, c.Train = append(c.IDs, 10+int32(b)), append(c.Train, learn)
		}
		c.IDs, c.Train = append(c.IDs, 2), append(c.Train, learn && o.TrainOnEOS != "none")
	}
	return c, nil
}

func (f fake) EOS() int32 {
	if f.endless {
		return -1
	}
	return 2
}

func (fake) PAD() int32 { return -1 }
func (fake) UNK() int32 { return 0 }

// spell writes a sample as text, what is learned in brackets: ^ bos, $ eos, # a turn, _ token 4.
func spell(e Example) string {
	var out strings.Builder
	learned := false
	for i, id := range e.IDs {
		if now := e.Labels[i] != ignored; now != learned {
			out.WriteString(map[bool]string{true: "[", false: "]"}[now])
			learned = now
		}
		switch {
		case id < 10:
			out.WriteByte("?^$#_"[id])
		case id >= 300:
			out.WriteByte(' ')
			out.WriteByte(byte(id - 300))
		default:
			out.WriteByte(byte(id - 10))
		}
	}
	if learned {
		out.WriteString("]")
	}
	return out.String()
}

// write puts a file into the test's folder.
func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// load reads one file with the fake tokenizer.
func load(t testing.TB, path, typ string, o Options) *Dataset {
	t.Helper()
	d, err := Load([]Source{{Path: path, Type: typ}}, fake{bos: true}, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// ofLengths is a data set of samples with the given numbers of tokens, all ids distinct.
func ofLengths(lengths ...int) *Dataset {
	d := &Dataset{c: &corpus{pad: 0}}
	id := int32(1)
	for i, n := range lengths {
		ids := make([]int32, n)
		for j := range ids {
			ids[j] = id
			id++
		}
		d.c.add(ids, ids, false)
		d.index = append(d.index, int32(i))
	}
	return d
}
