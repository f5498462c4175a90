package tokenizer

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// The functions and filters that transformers gives to templates, and those of Jinja2 that need
// other limits than gonja's.

// raiseException is raise_exception(message).
func raiseException(e *exec.Evaluator, params *exec.VarArgs) (any, error) {
	message := params.First().String()
	stateOf(e.Environment.Context).raised = message
	return nil, errors.New(message)
}

// templateTime is what strftime_now tells: training data must not depend on the day of the run. It
// is the date that Llama 3.1's and 3.2's templates fall back to.
var templateTime = time.Date(2024, time.July, 26, 0, 0, 0, 0, time.UTC)

// strftimeNow is strftime_now(format) at templateTime.
func strftimeNow(_ *exec.Evaluator, params *exec.VarArgs) (any, error) {
	layouts := map[byte]string{'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'd': "02", 'm': "01", 'y': "06", 'Y': "2006",
		'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM", 'j': "002", 'Z': "MST", 'z': "-0700",
		'F': "2006-01-02", 'T': "15:04:05", 'D': "01/02/06"}
	format := params.First().String()
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		trim := format[i] == '-' && i+1 < len(format) // %-d: without leading zeros
		if trim {
			i++
		}
		layout, ok := layouts[format[i]]
		switch {
		case format[i] == '%':
			b.WriteByte('%')
		case !ok:
			return nil, fmt.Errorf("strftime_now: %%%c is not supported", format[i])
		case trim:
			b.WriteString(strings.TrimLeft(templateTime.Format(layout), "0"))
		default:
			b.WriteString(templateTime.Format(layout))
		}
	}
	return b.String(), nil
}

// boundedRange is range(stop), range(start, stop) or range(start, stop, step) as a list. gonja's runs
// in a goroutine that never ends if the loop does early.
func boundedRange(_ *exec.Evaluator, params *exec.VarArgs) (any, error) {
	n := []int{0, 0, 1}
	for i, a := range params.Args {
		if !a.IsInteger() || i == 3 {
			return nil, errors.New("range: want one to three integers")
		}
		n[i] = a.Integer()
	}
	switch len(params.Args) {
	case 0:
		return nil, errors.New("range: want one to three integers")
	case 1:
		n[0], n[1] = 0, n[0]
	}
	list := []any{}
	for i := n[0]; n[2] > 0 && i < n[1] || n[2] < 0 && i > n[1]; i += n[2] {
		if len(list) == maxRange {
			return nil, fmt.Errorf("range: more than %d numbers", maxRange)
		}
		list = append(list, i)
	}
	return list, nil
}

// replaceAll is strings.Replace unless the result would be longer than limit.
func replaceAll(s, old, with string, count, limit int) (string, error) {
	n := strings.Count(s, old)
	if count >= 0 {
		n = min(n, count)
	}
	if len(s)+n*len(with) > limit {
		return "", fmt.Errorf("replace: more than %d bytes", limit)
	}
	return strings.Replace(s, old, with, n), nil
}

// countArgument is the optional third argument of replace: -1 for all.
func countArgument(params *exec.VarArgs) int {
	if len(params.Args) > 2 && params.Args[2].IsInteger() {
		return params.Args[2].Integer()
	}
	if n := params.GetKeywordArgument("count", nil); n.IsInteger() {
		return n.Integer()
	}
	return -1
}

func filterReplace(e *exec.Evaluator, in *exec.Value, params *exec.VarArgs) *exec.Value {
	if in.IsError() {
		return in
	}
	if len(params.Args) < 2 {
		return exec.AsValue(errors.New("replace: want what to replace and what with"))
	}
	s, err := replaceAll(in.String(), params.Args[0].String(), params.Args[1].String(), countArgument(params), stateOf(e.Environment.Context).limit)
	if err != nil {
		return exec.AsValue(err)
	}
	return exec.AsValue(s)
}

// methodReplace knows no state, so its limit is a constant.
func methodReplace(self string, _ *exec.Value, params *exec.VarArgs) (any, error) {
	if len(params.Args) < 2 {
		return nil, errors.New("replace: want what to replace and what with")
	}
	return replaceAll(self, params.Args[0].String(), params.Args[1].String(), countArgument(params), maxOutput)
}

// methodSplit is str.split(sep, maxsplit); without sep at runs of white space (gonja's default fails).
func methodSplit(self string, _ *exec.Value, params *exec.VarArgs) (any, error) {
	parts := strings.Fields(self)
	if sep := params.First(); sep.IsString() {
		n := -1
		if len(params.Args) > 1 && params.Args[1].IsInteger() && params.Args[1].Integer() >= 0 {
			n = params.Args[1].Integer() + 1
		}
		if sep.String() == "" {
			return nil, errors.New("split: empty separator")
		}
		parts = strings.SplitN(self, sep.String(), n)
	}
	list := make([]any, len(parts))
	for i, s := range parts {
		list[i] = s
	}
	return list, nil
}

// joined is the strings of list with sep between them, unless that is longer than limit.
func joined(list *exec.Value, sep, attribute string, limit int) (string, error) {
	var b strings.Builder
	n := 0
	list.Iterate(func(_, _ int, item, _ *exec.Value) bool {
		if n++; n > 1 {
			b.WriteString(sep)
		}
		if attribute != "" {
			if v, ok := item.GetItem(attribute); ok {
				item = v
			} else {
				item = exec.AsValue(nil)
			}
		}
		b.WriteString(item.String())
		return b.Len() <= limit
	}, func() {})
	if b.Len() > limit {
		return "", fmt.Errorf("join: more than %d bytes", limit)
	}
	return b.String(), nil
}

func filterJoin(e *exec.Evaluator, in *exec.Value, params *exec.VarArgs) *exec.Value {
	if in.IsError() {
		return in
	}
	sep := params.GetKeywordArgument("d", "").String()
	if len(params.Args) > 0 {
		sep = params.Args[0].String()
	}
	s, err := joined(in, sep, params.GetKeywordArgument("attribute", "").String(), stateOf(e.Environment.Context).limit)
	if err != nil {
		return exec.AsValue(err)
	}
	return exec.AsValue(s)
}

func methodJoin(self string, _ *exec.Value, params *exec.VarArgs) (any, error) {
	return joined(params.First(), self, "", maxOutput)
}

// filterIndent is indent(width=4, first=false, blank=false).
func filterIndent(e *exec.Evaluator, in *exec.Value, params *exec.VarArgs) *exec.Value {
	if in.IsError() {
		return in
	}
	argument := func(i int, name string, fallback any) *exec.Value {
		if i < len(params.Args) {
			return params.Args[i]
		}
		return params.GetKeywordArgument(name, fallback)
	}
	width := argument(0, "width", 4)
	space := width.String()
	if width.IsInteger() {
		space = strings.Repeat(" ", min(max(width.Integer(), 0), 64))
	}
	lines := strings.Split(in.String(), "\n")
	if len(in.String())+len(lines)*len(space) > stateOf(e.Environment.Context).limit {
		return exec.AsValue(errors.New("indent: the text is too long"))
	}
	first, blank := argument(1, "first", false).IsTrue(), argument(2, "blank", false).IsTrue()
	for i, l := range lines {
		if (i > 0 || first) && (l != "" || blank) {
			lines[i] = space + l
		}
	}
	return exec.AsValue(strings.Join(lines, "\n"))
}
