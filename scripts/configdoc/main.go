// Command configdoc brings the table of keys in docs/configuration.md up to date with package config.
//
//	go run ./scripts/configdoc     (or make docs)
package main

import (
	"fmt"
	"os"
	"strings"

	"lomo/internal/config"
)

const (
	page  = "docs/configuration.md"
	begin = "<!-- keys: made by scripts/configdoc, do not edit -->\n"
	end   = "<!-- end of keys -->\n"
)

func main() {
	text, err := os.ReadFile(page)
	if err == nil {
		var now string
		if now, err = update(string(text)); err == nil {
			err = os.WriteFile(page, []byte(now), 0o644)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "configdoc:", err)
		os.Exit(1)
	}
}

// update puts the tables of today between the marks.
func update(text string) (string, error) {
	head, rest, ok := strings.Cut(text, begin)
	_, tail, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return "", fmt.Errorf("%s: the marks around the tables are missing", page)
	}
	return head + begin + tables() + end + tail, nil
}

// tables is one table for each group of keys.
func tables() string {
	var b strings.Builder
	defaults := config.Default()
	group := ""
	for _, k := range config.Keys() {
		if k.Group != group {
			group = k.Group
			title := group
			if k.Block() != "" {
				title = "The block `" + k.Block() + "`"
			}
			fmt.Fprintf(&b, "\n### %s\n\n| key | values | default | what it does |\n| --- | --- | --- | --- |\n", title)
		}
		value, _ := defaults.Get(k.Name)
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", names(k), k.Values(), shown(value), strings.ReplaceAll(k.Help, "|", "\\|"))
	}
	return b.String() + "\n"
}

// names is the key and its aliases. A key that may change when a run is resumed carries a star.
func names(k config.Key) string {
	name := "`" + strings.TrimPrefix(k.Name, k.Block()+".") + "`"
	if k.Resume {
		name += " *"
	}
	for _, a := range k.Aliases {
		name += ", `" + a + "`"
	}
	return name
}

func shown(value any) string {
	if s := strings.ReplaceAll(fmt.Sprint(value), " ", ", "); s != "" && s != "[]" {
		return s
	}
	return "none"
}
