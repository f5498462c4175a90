package job

import (
	"lomo/internal/config"
	"lomo/internal/data"
	"lomo/internal/train"
)

// Survey is what can be told of a model and its data before a run has settings.
type Survey struct {
	Model  string
	Params int64
	Reach  int // tokens of the longest sequence that the model knows
	Stats  data.Stats
	Notes  []string

	data *dataset
}

// HasChatTemplate reports whether one can talk to a model: its tokenizer, or the run, brings a chat template. What is wrong with the model is told elsewhere.
func HasChatTemplate(model, template string) bool {
	m, err := OpenModel(model)
	if err != nil {
		return false
	}
	defer m.Close()
	tok, err := m.Tokenizer()
	if err != nil {
		return false
	}
	source, err := tok.TemplateSource(template)
	return err == nil && source != ""
}

// NewSurvey opens the model and reads the data that c names, with c's sequence_len.
func NewSurvey(c *config.Loaded) (*Survey, error) {
	m, err := OpenModel(c.Model)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	if err := m.Config.Trainable(); err != nil {
		return nil, err
	}
	c.FitSequenceLen(m.Config.Reach())
	quiet := &quietReporter{}
	tok, err := runTokenizer(c, m, quiet)
	if err != nil {
		return nil, err
	}
	if c.ChatTemplate, err = ChatTemplate(tok, c.ChatTemplate); err != nil {
		return nil, err
	}
	ds, err := loadData(&c.Config, m, tok, quiet)
	if err != nil {
		return nil, err
	}
	s := &Survey{Model: m.Given, Params: m.Net.NumParams(), Reach: m.Config.Reach(), Stats: ds.train.Stats(), data: ds}
	for _, n := range ds.train.Notes() {
		s.Notes = append(s.Notes, n.String())
	}
	return s, nil
}

// Rows is how many sequences of length tokens an epoch of samples packs into.
func (s *Survey) Rows(length int) int {
	o := s.data.opts
	o.SequenceLen = length
	return max(1, data.NewLoader(s.data.train, o).PackedSequences().Rows)
}

// quietReporter hears nothing of what comes before a run.
type quietReporter struct{ Reporter }

func (quietReporter) Note(string, ...any)  {}
func (quietReporter) Doing(train.Activity) {}
