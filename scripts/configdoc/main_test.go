package main

import (
	"os"
	"testing"
)

func TestPageIsUpToDate(t *testing.T) {
	text, err := os.ReadFile("../../" + page)
	if err != nil {
		t.Fatal(err)
	}
	want, err := update(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != want {
		t.Errorf("%s does not show today's keys: run make docs", page)
	}
}

func TestUpdateRefusesAPageWithoutMarks(t *testing.T) {
	for _, text := range []string{"", begin, end} {
		if got, err := update(text); err == nil {
			t.Errorf("%q: got %q, want an error", text, got)
		}
	}
}
