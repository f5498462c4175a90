package jinja

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// globals are the names that every template knows.
var globals map[string]Value

func init() {
	globals = map[string]Value{
		"range": method("range", makeRange),
		"dict": &function{name: "dict", call: func(st *state, a *args) Value { return st.makeDict(a, "dict") },
			attrs: map[string]Value{"fromkeys": method("fromkeys", fromKeys)}},
		"namespace": method("namespace", func(st *state, a *args) Value {
			d := st.makeDict(a, "namespace")
			for _, e := range d.entries {
				if s, ok := Text(e.key); ok && strings.HasPrefix(s, "_") {
					st.fail("a namespace cannot hold %s: its name begins with an underscore", clipText(s, 60))
				}
			}
			return &namespace{d}
		}),
		"cycler": method("cycler", func(st *state, a *args) Value {
			if len(a.kw) > 0 || len(a.pos) == 0 {
				st.fail("cycler: no items given")
			}
			return &cycler{items: a.pos}
		}),
		"joiner": method("joiner", func(st *state, a *args) Value {
			sep := st.bind(a, "joiner", 0, "sep")[0]
			if sep == missing {
				sep = ", "
			}
			used := false
			return method("joiner", func(st *state, a *args) Value {
				st.positional(a, "joiner", 0, 0)
				if !used {
					used = true
					return ""
				}
				return sep
			})
		}),
		"lipsum": method("lipsum", func(st *state, _ *args) Value {
			st.fail("the function lipsum is not supported")
			return nil
		}),
		"raise_exception": method("raise_exception", func(st *state, a *args) Value {
			s := st.toStr(st.bind(a, "raise_exception", 1, "message")[0]).s
			panic(&failure{message: s, raised: true, line: st.line})
		}),
		"strftime_now": method("strftime_now", func(st *state, a *args) Value {
			f := st.textArg(st.bind(a, "strftime_now", 1, "format")[0], "strftime_now").s
			return st.strftime(f)
		}),
	}
}

// resolve is the value of a name that the template does not assign.
func (st *state) resolve(name string) Value {
	if st.vars != nil {
		if v, ok := st.vars.Get(name); ok {
			return v
		}
	}
	if v, ok := globals[name]; ok {
		return v
	}
	return missing
}

func makeRange(st *state, a *args) Value {
	p := st.positional(a, "range", 1, 3)
	r := &rangeValue{step: 1}
	at := func(i int) int64 { return int64(st.intArg(p[i], "range", 0)) }
	switch {
	case p[1] == missing:
		r.stop = at(0)
	default:
		r.start, r.stop = at(0), at(1)
		if p[2] != missing {
			r.step = at(2)
		}
	}
	if r.step == 0 {
		st.fail("range: the step is zero")
	}
	if n := r.len(); n < 0 || n > maxRange {
		st.fail("range: more than %d numbers", maxRange)
	}
	for _, n := range []int64{r.start, r.stop, r.step} {
		if n > math.MaxInt64/4 || n < math.MinInt64/4 {
			st.fail("range: the integer is too large")
		}
	}
	return r
}

// makeDict is dict(…).
func (st *state) makeDict(a *args, fn string) *Dict {
	d := NewDict()
	if len(a.pos) > 1 {
		st.fail("%s takes at most one argument without a name", fn)
	}
	if len(a.pos) == 1 {
		if from, ok := a.pos[0].(*Dict); ok {
			d = st.copyDict(from)
		} else {
			next := st.iterate(a.pos[0])
			for item, ok := next(); ok; item, ok = next() {
				pair := st.unpack(item, 2)
				st.pay(64)
				d.set(st.hashKey(pair[0]), pair[0], pair[1])
			}
		}
	}
	for i, name := range a.names {
		st.pay(64)
		d.Set(name, a.kw[i])
	}
	return d
}

// strftime writes the time of the rendering as C's function does in the locale C.
func (st *state) strftime(format string) string {
	t := st.now
	var b strings.Builder
	st.payTimes(32, len(format))
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		flag := byte(0)
		if strings.IndexByte("-_0^", format[i]) >= 0 && i+1 < len(format) {
			flag = format[i]
			i++
		}
		s, ok := strftimeField(t, format[i])
		if !ok {
			st.fail("strftime_now: %%%c is not supported", format[i])
		}
		switch {
		case flag == '-':
			if trimmed := strings.TrimLeft(s, "0 "); trimmed != "" {
				s = trimmed
			} else {
				s = "0"
			}
		case flag == '_' && s[0] == '0' && len(s) > 1:
			rest := strings.TrimLeft(s[:len(s)-1], "0")
			s = strings.Repeat(" ", len(s)-1-len(rest)) + rest + s[len(s)-1:]
		case flag == '0':
			s = strings.ReplaceAll(s, " ", "0")
		case flag == '^':
			s = strings.ToUpper(s)
		}
		b.WriteString(s)
	}
	return b.String()
}

func strftimeField(t time.Time, c byte) (string, bool) {
	two := func(n int) string { return fmt.Sprintf("%02d", n) }
	hour12 := (t.Hour()+11)%12 + 1
	switch c {
	case 'a':
		return t.Format("Mon"), true
	case 'A':
		return t.Format("Monday"), true
	case 'b', 'h':
		return t.Format("Jan"), true
	case 'B':
		return t.Format("January"), true
	case 'c':
		return t.Format("Mon Jan _2 15:04:05 2006"), true
	case 'C':
		return two(t.Year() / 100), true
	case 'd':
		return two(t.Day()), true
	case 'D', 'x':
		return t.Format("01/02/06"), true
	case 'e':
		return fmt.Sprintf("%2d", t.Day()), true
	case 'f':
		return fmt.Sprintf("%06d", t.Nanosecond()/1000), true
	case 'F':
		return t.Format("2006-01-02"), true
	case 'g', 'G', 'V':
		year, week := t.ISOWeek()
		return map[byte]string{'g': two(year % 100), 'G': fmt.Sprint(year), 'V': two(week)}[c], true
	case 'H':
		return two(t.Hour()), true
	case 'I':
		return two(hour12), true
	case 'j':
		return fmt.Sprintf("%03d", t.YearDay()), true
	case 'k':
		return fmt.Sprintf("%2d", t.Hour()), true
	case 'l':
		return fmt.Sprintf("%2d", hour12), true
	case 'm':
		return two(int(t.Month())), true
	case 'M':
		return two(t.Minute()), true
	case 'n':
		return "\n", true
	case 'p':
		return t.Format("PM"), true
	case 'P':
		return t.Format("pm"), true
	case 'r':
		return t.Format("03:04:05 PM"), true
	case 'R':
		return t.Format("15:04"), true
	case 's':
		return fmt.Sprint(t.Unix()), true
	case 'S':
		return two(t.Second()), true
	case 't':
		return "\t", true
	case 'T', 'X':
		return t.Format("15:04:05"), true
	case 'u':
		return fmt.Sprint((int(t.Weekday())+6)%7 + 1), true
	case 'U':
		return two((t.YearDay() + 6 - int(t.Weekday())) / 7), true
	case 'w':
		return fmt.Sprint(int(t.Weekday())), true
	case 'W':
		return two((t.YearDay() + 6 - (int(t.Weekday())+6)%7) / 7), true
	case 'y':
		return t.Format("06"), true
	case 'Y':
		return fmt.Sprint(t.Year()), true
	case 'z', 'Z': // datetime.now() has no zone
		return "", true
	case '%':
		return "%", true
	}
	return "", false
}
