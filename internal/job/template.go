package job

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"lomo/internal/config"
	"lomo/internal/fault"
	"lomo/internal/strictjson"
	"lomo/internal/tokenizer"
)

// ChatTemplate is what chat_template, or --chat-template, means for a tokenizer: a template's name or its text. nil is the tokenizer of data that needs none.
func ChatTemplate(tok *tokenizer.Tokenizer, value string) (string, error) {
	if tok == nil {
		return value, nil
	}
	name, err := tok.ChatTemplate(value)
	if err == nil {
		return name, nil
	}
	if h := (interface{ Hint() string })(nil); !errors.As(err, &h) {
		err = hint("see chat_template: the tokenizer's own, a name, a Jinja template or a file with one", "%w", err)
	}
	return "", &UsageError{err}
}

// chatTypes are the types of data sets whose records may be conversations.
var chatTypes = []string{"messages", "sharegpt", "prompt_completion"}

// isChat tells whether one talks to the trained model: it has a template for chats, or has learned conversations.
func isChat(tok *tokenizer.Tokenizer, c *config.Config) bool {
	if tok == nil {
		return false
	}
	source, err := tok.TemplateSource(c.ChatTemplate)
	return err == nil && source != "" || slices.ContainsFunc(c.Datasets, func(d config.Dataset) bool { return d.Type == "messages" || d.Type == "sharegpt" })
}

// keepTemplate sees to it that the trained model has the run's chat template and stops where that ends a turn: it writes the files that differ from the
// tokenizer's own into dir, and enters them in files.
func keepTemplate(files map[string]string, dir string, tok *tokenizer.Tokenizer, c *config.Config) error {
	given := c.ChatTemplate != "" && c.ChatTemplate != "tokenizer"
	chats := slices.ContainsFunc(c.Datasets, func(d config.Dataset) bool { return slices.Contains(chatTypes, d.Type) })
	source, err := tok.TemplateSource(c.ChatTemplate)
	if err != nil {
		if given {
			return err
		}
		return nil // there is none
	}
	if own, err := tok.TemplateSource(""); given && (err != nil || own != source) {
		if err := keepFile(files, dir, "chat_template.jinja", []byte(source)); err != nil {
			return err
		}
		// Readers that do not know the file find the template here.
		if err := keepMember(files, dir, "tokenizer_config.json", "chat_template", source); err != nil {
			return err
		}
	}
	if !given && !chats {
		return nil
	}
	stops, err := tok.ChatStops(c.ChatTemplate)
	if err != nil || len(stops) == len(tok.EOSIDs()) {
		return err
	}
	if _, err := os.Stat(files[generationConfig]); errors.Is(err, fs.ErrNotExist) {
		for name, id := range map[string]int32{"bos_token_id": tok.BOS(), "pad_token_id": tok.PAD()} {
			if id >= 0 {
				if err := keepMember(files, dir, generationConfig, name, id); err != nil {
					return err
				}
			}
		}
	}
	return keepMember(files, dir, generationConfig, "eos_token_id", stops)
}

const generationConfig = "generation_config.json"

// keepFile writes a file into dir and enters it in files.
func keepFile(files map[string]string, dir, name string, text []byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return err
	}
	files[name] = path
	return nil
}

// keepMember sets one member of a JSON file; the others stay as they are.
func keepMember(files map[string]string, dir, name, member string, value any) error {
	text := []byte("{}")
	if from := files[name]; from != "" {
		var err error
		if text, err = fault.Read(from, 16<<20); err != nil {
			return err
		}
	}
	members, err := strictjson.Members(text)
	if err != nil {
		return err
	}
	var raw bytes.Buffer
	e := json.NewEncoder(&raw)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return err
	}
	set := strictjson.Member{Name: member, Value: bytes.TrimSpace(raw.Bytes())}
	if i := slices.IndexFunc(members, func(m strictjson.Member) bool { return m.Name == member }); i >= 0 {
		members[i] = set
	} else {
		members = append(members, set)
	}
	var out bytes.Buffer
	out.WriteString("{")
	for i, m := range members {
		if i > 0 {
			out.WriteString(",")
		}
		key, err := json.Marshal(m.Name)
		if err != nil {
			return err
		}
		out.WriteString("\n  " + string(key) + ": " + string(m.Value))
	}
	out.WriteString("\n}\n")
	return keepFile(files, dir, name, out.Bytes())
}
