package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"lomo/internal/job"
	"lomo/internal/strictjson"
	"lomo/internal/tokenizer"
)

// tokenizeOptions is what `lomo tokenize` was asked to do.
type tokenizeOptions struct {
	Model   string
	Decode  bool
	Special bool // add what the post-processor adds
	JSON    bool // texts are JSON strings, which may hold line breaks
}

func newTokenizeCmd(io *Streams, run func(*Streams, *tokenizeOptions) error) *cobra.Command {
	var o tokenizeOptions
	c := &cobra.Command{
		Use:   "tokenize --model DIR",
		Short: "Turn lines of text into token ids, and back",
		Long: `Tokenize reads lines of text from stdin and writes one JSON array of token ids a line.
No token is added at the beginning or end unless --special asks for it; added tokens
written in the text become their ids. --decode reads arrays and writes text; a token
that stands for a line break breaks the line, unless --json writes texts as JSON strings;
they are read as such then, too.`,
		Example: `  echo "Hello world" | lomo tokenize --model models/smollm2
  lomo tokenize --model smollm2.gguf < book.txt | lomo tokenize --model smollm2.gguf --decode`,
		RunE: func(*cobra.Command, []string) error {
			if o.Model == "" {
				return usage("--model DIR names a folder with a tokenizer.json or tokenizer.model, or a .gguf file", "--model is missing")
			}
			return run(io, &o)
		},
	}
	c.Flags().StringVar(&o.Model, "model", "", "`folder` with a tokenizer, a tokenizer.json or tokenizer.model, or a .gguf file")
	c.Flags().BoolVar(&o.Decode, "decode", false, "turn ids into text")
	c.Flags().BoolVar(&o.Special, "special", false, "add the tokens the tokenizer puts around a text, such as bos")
	c.Flags().BoolVar(&o.JSON, "json", false, "read and write each text as a JSON string, which may hold line breaks")
	return c
}

// maxLine bounds a line of stdin, in bytes.
const maxLine = 64 << 20

func runTokenize(s *Streams, o *tokenizeOptions) error {
	tok, err := job.OpenTokenizer(o.Model)
	if err != nil {
		return err
	}
	for _, n := range tok.Notes() {
		fmt.Fprintf(s.Err, "lomo: warning: %s\n", n)
	}
	convert := encodeLine(tok, o)
	if o.Decode {
		convert = decodeLine(tok, o)
	}
	return eachLine(s.In, s.Out, convert)
}

// encodeLine appends the ids of a text as a JSON array.
func encodeLine(tok *tokenizer.Tokenizer, o *tokenizeOptions) func(out, line []byte) ([]byte, error) {
	return func(out, line []byte) ([]byte, error) {
		text := string(line)
		if o.JSON {
			if err := strictjson.Unmarshal(line, &text); err != nil {
				return nil, fmt.Errorf("want a text as a JSON string: %w", err)
			}
		}
		ids, err := tok.Encode(text, o.Special)
		if err != nil {
			return nil, err
		}
		out = append(out, '[')
		for i, id := range ids {
			if i > 0 {
				out = append(out, ',')
			}
			out = strconv.AppendInt(out, int64(id), 10)
		}
		return append(out, ']'), nil
	}
}

// decodeLine appends the text of a JSON array of ids.
func decodeLine(tok *tokenizer.Tokenizer, o *tokenizeOptions) func(out, line []byte) ([]byte, error) {
	return func(out, line []byte) ([]byte, error) {
		var ids []int32
		if err := strictjson.Unmarshal(line, &ids); err != nil {
			return nil, fmt.Errorf("want a JSON array of token ids: %w", err)
		}
		for _, id := range ids {
			if id < 0 || int(id) >= tok.VocabSize() {
				return nil, fmt.Errorf("token id %d: the vocabulary has %d", id, tok.VocabSize())
			}
		}
		text := tok.Decode(ids, false)
		if !o.JSON {
			return append(out, text...), nil
		}
		quoted, err := json.Marshal(text)
		return append(out, quoted...), err
	}
}

// eachLine converts every line of in, without its line feed, to a line of out. Out is flushed before a read may wait.
func eachLine(in io.Reader, out io.Writer, convert func(out, line []byte) ([]byte, error)) error {
	r, w := bufio.NewReaderSize(in, 1<<16), bufio.NewWriterSize(out, 1<<16)
	var buf []byte
	for n := 1; ; n++ {
		line, err := readLine(r)
		if errors.Is(err, io.EOF) {
			return w.Flush()
		}
		if err == nil {
			buf, err = convert(buf[:0], line)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("stdin line %d: %w", n, err), w.Flush())
		}
		if _, err := w.Write(append(buf, '\n')); err != nil {
			return err
		}
		if r.Buffered() == 0 {
			if err := w.Flush(); err != nil {
				return err
			}
		}
	}
}

// readLine reads up to and without the next line feed; the last line needs none. io.EOF comes after the last line.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxLine:
			return nil, fmt.Errorf("longer than %d bytes", maxLine)
		case err == nil:
			return line[:len(line)-1], nil
		case errors.Is(err, io.EOF) && len(line) > 0:
			return line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}
