package cli

import (
	"errors"
	"testing"
)

// TestPlainFlag: what a flag cannot take is said without the name of the function that tried.
func TestPlainFlag(t *testing.T) {
	for in, want := range map[string]string{
		`invalid argument "abc" for "--top-k" flag: strconv.ParseInt: parsing "abc": invalid syntax`:           `invalid argument "abc" for "--top-k" flag: want a whole number`,
		`invalid argument "-1" for "--seed" flag: strconv.ParseUint: parsing "-1": invalid syntax`:             `invalid argument "-1" for "--seed" flag: want a whole number from 0`,
		`invalid argument "x" for "--top-p" flag: strconv.ParseFloat: parsing "x": invalid syntax`:             `invalid argument "x" for "--top-p" flag: want a number`,
		`invalid argument "9e" for "--json" flag: strconv.ParseBool: parsing "9e": invalid syntax`:             `invalid argument "9e" for "--json" flag: want true or false`,
		`invalid argument "1e999" for "--top-p" flag: strconv.ParseFloat: parsing "1e999": value out of range`: `invalid argument "1e999" for "--top-p" flag: the number is too large or too small`,
		`unknown flag: --stirde`: `unknown flag: --stirde`,
	} {
		if got := plainFlag(errors.New(in)).Error(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
