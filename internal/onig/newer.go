package onig

// change is what Unicode 16 says of characters of which Unicode 15 said something else.
type change struct {
	lo, hi            rune
	was, is           string // general category, "" unassigned
	wasScript, script string
}

var changes []change

var newerProperties = map[string]string{}

func newer(s set, in func(change) (is, was bool)) set {
	return s
}

func ofNames(string) set { return nil }
