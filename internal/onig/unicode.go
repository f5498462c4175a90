package onig

import (
	"strings"
	"sync"
	"unicode"
)

// The sets that names stand for. They follow Unicode 16, which Oniguruma 6.9.10 has: package unicode
// has Unicode 15, and newer.go what changed since.

func flip(s set, not bool) set {
	if not {
		return s.not()
	}
	return s
}

// memo builds the set of a function once.
func memo(build func() set) func() set { return sync.OnceValue(build) }

func category(name string) set {
	minor, major := minors[name]
	if !major {
		return latest(name, fromTable(unicode.Categories[name]))
	}
	return categories(strings.Fields(minor)...)
}

// minors are the categories that larger ones consist of. C has unassigned characters too, see properties.
var minors = map[string]string{
	"L": "Lu Ll Lt Lm Lo", "LC": "Lu Ll Lt", "M": "Mn Mc Me", "N": "Nd Nl No", "P": "Pc Pd Ps Pe Pi Pf Po", "S": "Sm Sc Sk So", "Z": "Zs Zl Zp", "C": "Cc Cf Co Cs",
}

func categories(names ...string) (s set) {
	for _, name := range names {
		s = s.union(category(name))
	}
	return s
}

func script(name string) set { return latest(name, fromTable(unicode.Scripts[name])) }

func binary(name string) set { return latest(name, fromTable(unicode.Properties[name])) }

// Sets with a name in POSIX brackets, which mean Unicode here.
var (
	unassigned   = memo(func() set { return categories("C", "L", "M", "N", "P", "S", "Z").not() })
	alphabetic   = memo(func() set { return categories("L", "Nl").union(binary("Other_Alphabetic")) })
	lowercase    = memo(func() set { return category("Ll").union(binary("Other_Lowercase")) })
	uppercase    = memo(func() set { return category("Lu").union(binary("Other_Uppercase")) })
	decimal      = memo(func() set { return category("Nd") })
	whiteSpace   = memo(func() set { return binary("White_Space") })
	wordInClass  = memo(func() set { return alphabetic().union(categories("M", "Nd", "Pc")) })
	graph        = memo(func() set { return whiteSpace().union(categories("Cc", "Cs")).union(unassigned()).not() })
	hexDigit     = memo(func() set { return newSet('0', '9', 'A', 'F', 'a', 'f') })
	blank        = memo(func() set { return category("Zs").union(newSet('\t', '\t')) })
	posixPunct   = memo(func() set { return categories("P", "S") })
	asciiSet     = memo(func() set { return newSet(0, 0x7F) })
	control      = memo(func() set { return category("Cc") })
	alphanumeric = memo(func() set { return alphabetic().union(decimal()) })
	printable    = memo(func() set { return graph().union(category("Zs")) })
)

// isWord is \w, \W and \b outside classes: Oniguruma asks a table of Latin-1 there, which counts some
// numbers as parts of words.
var isWord = memo(func() set { return wordInClass().union(newSet(0xB2, 0xB3, 0xB9, 0xB9, 0xBC, 0xBE)) })

var posixSets = map[string]func() set{
	"alnum": alphanumeric, "alpha": alphabetic, "ascii": asciiSet, "blank": blank, "cntrl": control, "digit": decimal, "graph": graph,
	"lower": lowercase, "print": printable, "punct": posixPunct, "space": whiteSpace, "upper": uppercase, "xdigit": hexDigit, "word": wordInClass,
}

// shorthand is \d, \s, \h, in classes also \w, and their negations.
func shorthand(c rune) set {
	s := map[rune]func() set{'d': decimal, 's': whiteSpace, 'h': hexDigit, 'w': wordInClass}[unicode.ToLower(c)]()
	return flip(s, unicode.IsUpper(c))
}

// longCategories are the long names of general categories.
var longCategories = map[string]string{
	"letter": "L", "uppercaseletter": "Lu", "lowercaseletter": "Ll", "titlecaseletter": "Lt", "modifierletter": "Lm", "otherletter": "Lo",
	"mark": "M", "combiningmark": "M", "nonspacingmark": "Mn", "spacingmark": "Mc", "enclosingmark": "Me",
	"number": "N", "decimalnumber": "Nd", "letternumber": "Nl", "othernumber": "No",
	"punctuation": "P", "connectorpunctuation": "Pc", "dashpunctuation": "Pd", "openpunctuation": "Ps", "closepunctuation": "Pe",
	"initialpunctuation": "Pi", "finalpunctuation": "Pf", "otherpunctuation": "Po",
	"symbol": "S", "mathsymbol": "Sm", "currencysymbol": "Sc", "modifiersymbol": "Sk", "othersymbol": "So",
	"separator": "Z", "spaceseparator": "Zs", "lineseparator": "Zl", "paragraphseparator": "Zp",
	"control": "Cc", "format": "Cf", "surrogate": "Cs", "privateuse": "Co",
}

// shortScripts are ISO 15924's codes of the larger scripts.
var shortScripts = map[string]string{
	"arab": "Arabic", "armn": "Armenian", "beng": "Bengali", "bopo": "Bopomofo", "cans": "Canadian_Aboriginal", "cher": "Cherokee", "copt": "Coptic",
	"cyrl": "Cyrillic", "deva": "Devanagari", "ethi": "Ethiopic", "geor": "Georgian", "goth": "Gothic", "grek": "Greek", "gujr": "Gujarati",
	"guru": "Gurmukhi", "hang": "Hangul", "hani": "Han", "hebr": "Hebrew", "hira": "Hiragana", "kana": "Katakana", "khmr": "Khmer", "knda": "Kannada",
	"laoo": "Lao", "latn": "Latin", "mlym": "Malayalam", "mong": "Mongolian", "mymr": "Myanmar", "ogam": "Ogham", "orya": "Oriya", "runr": "Runic",
	"sinh": "Sinhala", "syrc": "Syriac", "taml": "Tamil", "telu": "Telugu", "tfng": "Tifinagh", "thaa": "Thaana", "thai": "Thai", "tibt": "Tibetan",
	"yiii": "Yi", "zinh": "Inherited", "qaai": "Inherited", "zyyy": "Common",
}

// plainName is a property's name without what does not matter in it.
func plainName(name string) string {
	return strings.ToLower(strings.NewReplacer(" ", "", "-", "", "_", "").Replace(name))
}

// properties maps plain names to sets.
var properties = sync.OnceValue(func() map[string]func() set {
	m := map[string]func() set{
		"any": memo(func() set { return set(nil).not() }), "assigned": memo(func() set { return unassigned().not() }),
		"unassigned": unassigned, "cn": unassigned, "c": memo(func() set { return category("C").union(unassigned()) }),
		"other":       memo(func() set { return category("C").union(unassigned()) }),
		"casedletter": memo(func() set { return category("LC") }),
		"alphabetic":  alphabetic, "lowercase": lowercase, "uppercase": uppercase, "whitespace": whiteSpace, "wspace": whiteSpace,
		"posixpunct": posixPunct, "punct": memo(func() set { return category("P") }),
	}
	put := func(name string, build func() set) {
		if _, known := m[plainName(name)]; !known {
			m[plainName(name)] = memo(build)
		}
	}
	for name, s := range posixSets {
		put(name, s)
	}
	for name := range minors {
		put(name, func() set { return category(name) })
	}
	for name := range unicode.Categories {
		put(name, func() set { return category(name) })
	}
	for long, name := range longCategories {
		put(long, func() set { return category(name) })
	}
	for name := range unicode.Scripts {
		put(name, func() set { return script(name) })
	}
	for name := range unicode.Properties {
		put(name, func() set { return binary(name) })
	}
	for short, name := range shortScripts {
		put(short, func() set { return script(name) })
	}
	return m
})

// property reads the rest of \p{name} or \p{^name}, the brace being taken.
func (p *parser) property(at int, not, inClass bool) set {
	if p.take("^") {
		not = !not
	}
	name, _, found := strings.Cut(p.src[p.pos:], "}")
	if !found {
		p.fail(at, `\p{ without }`)
	}
	build, known := properties()[plainName(name)]
	if !known {
		p.fail(at, `the property \p{%.40s}`, name)
	}
	p.pos += len(name) + 1
	if plainName(name) == "word" && !inClass {
		build = isWord
	}
	return flip(build(), not)
}
