package tasks

import (
	"fmt"

	"lomo/internal/data/records"
)

// answer ends every prompt but those of copa and cb.
const answer = "\nAnswer: "

var (
	noYes    = []string{"No", "Yes"}
	yesNo    = []string{"Yes", "No"}
	booleans = []string{"false", "true"}
)

func rte(r records.Record) ([]Example, error) {
	f, err := fields(r, "premise", "hypothesis")
	if err != nil {
		return nil, err
	}
	prompt := fmt.Sprintf("%s\nDoes this mean that \"%s\" is true? Yes or No?", f[0], f[1])
	return question(r, prompt+answer, yesNo, "entailment", "not_entailment")
}

func boolq(r records.Record) ([]Example, error) {
	f, err := fields(r, "passage", "question")
	if err != nil {
		return nil, err
	}
	return question(r, f[0]+" "+f[1]+answer, noYes, booleans...)
}

func wic(r records.Record) ([]Example, error) {
	f, err := fields(r, "word", "sentence1", "sentence2")
	if err != nil {
		return nil, err
	}
	prompt := fmt.Sprintf("Does the word \"%s\" have the same meaning in these two sentences? Yes, No?\n%s\n%s", f[0], f[1], f[2])
	return question(r, prompt+answer, noYes, booleans...)
}

// wsc keeps the misspelt word of the original prompt: models of the paper were tuned on it.
func wsc(r records.Record) ([]Example, error) {
	text, err := r.String("text")
	if err != nil {
		return nil, err
	}
	var target struct {
		Span1 *string `json:"span1_text"`
		Span2 *string `json:"span2_text"`
	}
	if err := r.Decode("target", &target); err != nil {
		return nil, err
	}
	if target.Span1 == nil || target.Span2 == nil {
		return nil, r.Errorf("field \"target\": span1_text or span2_text is missing")
	}
	prompt := fmt.Sprintf("%s\nIn the previous sentence, does the pronuon \"%s\" refer to \"%s\"? Yes or No?", text, *target.Span2, *target.Span1)
	return question(r, prompt+answer, noYes, booleans...)
}

// copa asks for the likelier continuation of the premise; its choices are sentences.
func copa(r records.Record) ([]Example, error) {
	f, err := fields(r, "premise", "choice1", "choice2", "question")
	if err != nil {
		return nil, err
	}
	link := map[string]string{"effect": " so ", "cause": " because "}[f[3]]
	if link == "" {
		return nil, r.Errorf("field \"question\": %q, want \"cause\" or \"effect\"", f[3])
	}
	return question(r, f[0]+link, []string{f[1], f[2]}, "choice1", "choice2")
}

// cb has MeZO's prompt (princeton-nlp/MeZO, large_models/templates.py): LOMO has none.
func cb(r records.Record) ([]Example, error) {
	f, err := fields(r, "premise", "hypothesis")
	if err != nil {
		return nil, err
	}
	prompt := fmt.Sprintf("Suppose %s Can we infer that \"%s\"? Yes, No, or Maybe?\n", f[0], f[1])
	return question(r, prompt, []string{"Yes", "No", "Maybe"}, "entailment", "contradiction", "neutral")
}

// fields reads several string fields.
func fields(r records.Record, names ...string) ([]string, error) {
	out := make([]string, len(names))
	for i, n := range names {
		var err error
		if out[i], err = r.String(n); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// question is the one example of a record; labels[i] is how the file names the choice i.
func question(r records.Record, prompt string, choices []string, labels ...string) ([]Example, error) {
	gold, err := label(r, r.Fields["label"], labels)
	return []Example{{Prompt: prompt, Choices: choices, Gold: gold}}, err
}
