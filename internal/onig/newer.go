package onig

import (
	"strconv"
	"strings"
)

// newer is, for each category, script and property, the characters in which Unicode 16 differs from
// package unicode (Unicode 15), in hexadecimal. TestSets compares the result with Oniguruma's, every
// character of every set.
var newer = map[string]string{
	"Arabic":   "897 10EC2-10EC4 10EFC",
	"Balinese": "1B4E-1B4F 1B7F",
	"Common": "2427-2429 2FFC-2FFF 31E4-31E5 31EF 1CC00-1CCF9 1CD00-1CEB3 1F8B2-1F8BB 1F8C0-1F8C1 1FA89 1FA8F 1FABE 1FAC6 1FADC 1FADF " +
		"1FAE9 1FBCB-1FBEF",
	"Cyrillic": "1C89-1C8A",
	"Dash":     "10D6E",
	"Diacritic": "E3A 1734 1A60 1BE6 1BF2-1BF3 A806 A82C 10A38-10A3A 10A3F 10D4E 10D69-10D6D 1133B 113CE-113D0 113D2-113D3 113E1-113E2 " +
		"11F41-11F42 11F5A 1612F 16D6B-16D6C 1E5EE-1E5EF",
	"Egyptian_Hieroglyphs": "13460-143FA",
	"Extender":             "A71 AFB 10D4E 10D6A 10D6F 11237 113D2-113D3 1E5EF",
	"Han":                  "2EBF0-2EE5D",
	"Ideographic":          "18CFF 2EBF0-2EE5D",
	"Kawi":                 "11F5A",
	"Latin":                "A7CB-A7CD A7DA-A7DC",
	"Ll":                   "1C8A A7CD A7DB 10D70-10D85",
	"Lm":                   "10D4E 10D6F 16D40-16D42 16D6B-16D6C",
	"Lo": "105C0-105F3 10D4A-10D4D 10D4F 10EC2-10EC4 11380-11389 1138B 1138E 11390-113B5 113B7 113D1 113D3 11BC0-11BE0 13460-143FA " +
		"16100-1611D 16D43-16D6A 18CFF 1E5D0-1E5ED 1E5F0 2EBF0-2EE5D",
	"Lu":                "1C89 A7CB-A7CC A7DA A7DC 10D50-10D65",
	"Mc":                "113B8-113BA 113C2 113C5 113C7-113CA 113CC-113CD 113CF 1171E 1612A-1612C",
	"Mn":                "897 10D69-10D6D 10EFC 113BB-113C0 113CE 113D0 113D2 113E1-113E2 1171E 11F5A 1611E-16129 1612D-1612F 1E5EE-1E5EF",
	"Myanmar":           "116D0-116E3",
	"Nd":                "10D40-10D49 116D0-116E3 11BF0-11BF9 16130-16139 16D70-16D79 1CCF0-1CCF9 1E5F1-1E5FA",
	"Other_Alphabetic":  "363-36F 897 1DD3-1DE6 10D69 10EFC 113B8-113C0 113C2 113C5 113C7-113CA 113CC-113CD 1611E-1612E",
	"Pd":                "10D6E",
	"Po":                "1B4E-1B4F 1B7F 113D4-113D5 113D7-113D8 11BE1 16D6D-16D6F 1E5FF",
	"Sentence_Terminal": "17D4-17D5 1B4E-1B4F 1B7F 2024 2CF9-2CFB FE12 FE15-FE16 113D4-113D5 16D6E-16D6F",
	"Sm":                "10D8E-10D8F",
	"So": "2427-2429 2FFC-2FFF 31E4-31E5 31EF 1CC00-1CCEF 1CD00-1CEB3 1F8B2-1F8BB 1F8C0-1F8C1 1FA89 1FA8F 1FABE 1FAC6 1FADC 1FADF " +
		"1FAE9 1FBCB-1FBEF",
	"Terminal_Punctuation": "836 1B4E-1B4F 1B7F 2024 2CF9-2CFB FE12 FE15-FE16 113D4-113D5 16D6E-16D6F",
	"Unified_Ideograph":    "2EBF0-2EE5D",
}

// latest is a table of package unicode brought to Unicode 16.
func latest(name string, s set) set {
	d := ranges(newer[name])
	return s.and(d.not()).union(d.and(s.not()))
}

// ranges reads "41 61-7A".
func ranges(text string) set {
	var pairs []rune
	for _, part := range strings.Fields(text) {
		lo, hi, found := strings.Cut(part, "-")
		if !found {
			hi = lo
		}
		for _, s := range []string{lo, hi} {
			r, err := strconv.ParseInt(s, 16, 32)
			if err != nil {
				panic(err) // a typing error in the table above
			}
			pairs = append(pairs, rune(r))
		}
	}
	return clean(pairs)
}
