package tokenizer

type chatTemplates map[string]string

func (t *Tokenizer) readTemplates(dir string) error { return nil }
