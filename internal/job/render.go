package job

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"lomo/internal/jinja"
)

// RenderTemplates reads lines of {"template", "vars"} and writes a line for each: the text with the ranges of its {% generation %} blocks in
// bytes, or the error.
func RenderTemplates(in io.Reader, out io.Writer) error {
	type result struct {
		Text       string   `json:"text"`
		Generation [][2]int `json:"generation,omitempty"`
		Error      string   `json:"error,omitempty"`
		Micros     int64    `json:"us"`
	}
	compiled := map[string]*jinja.Template{}
	render := func(line []byte) (r jinja.Result, took time.Duration, err error) {
		v, err := jinja.ParseJSON(line)
		if err != nil {
			return r, 0, err
		}
		request, ok := v.(*jinja.Dict)
		if !ok {
			return r, 0, errors.New("a request is no object")
		}
		field := func(name string) jinja.Value {
			v, _ := request.Get(name)
			return v
		}
		source, _ := jinja.Text(field("template"))
		vars, ok := field("vars").(*jinja.Dict)
		if !ok {
			return r, 0, errors.New("vars is no object")
		}
		t := compiled[source]
		if t == nil {
			if t, err = jinja.Compile(source); err != nil {
				return r, 0, err
			}
			compiled[source] = t
		}
		start := time.Now()
		r, err = t.Render(vars, jinja.Options{})
		return r, time.Since(start), err
	}
	lines := bufio.NewReader(in)
	w := bufio.NewWriter(out)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var res result
			r, took, err := render(line)
			if err != nil {
				res.Error = err.Error()
			}
			res.Text, res.Generation, res.Micros = r.Text, r.Generation, took.Microseconds()
			if err := enc.Encode(res); err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
		}
		if errors.Is(err, io.EOF) {
			return w.Flush()
		}
		if err != nil {
			return err
		}
	}
}
