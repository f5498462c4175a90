package tasks

import (
	"encoding/json"
	"strconv"
	"strings"

	"lomo/internal/data/records"
	"lomo/internal/strictjson"
)

// label reads a label as any of the copies in circulation write it: its name, with or without quotes (true, "True",
// "entailment"), or its number, likewise (1, "1"). Missing, null, "" and −1 stand for Unlabelled.
func label(r records.Record, raw json.RawMessage, names []string) (int, error) {
	text := strings.TrimSpace(string(raw))
	if strings.HasPrefix(text, `"`) {
		if err := strictjson.Unmarshal(raw, &text); err != nil {
			return 0, r.Errorf("field \"label\": %w", err)
		}
	}
	if text == "" || text == "null" || text == "-1" {
		return Unlabelled, nil
	}
	for i, n := range names {
		if strings.EqualFold(n, text) {
			return i, nil
		}
	}
	if i, err := strconv.Atoi(text); err == nil && i >= 0 && i < len(names) {
		return i, nil
	}
	if len(text) > 40 {
		text = strings.ToValidUTF8(text[:40], "") + "…"
	}
	return 0, r.Errorf("field \"label\": %q, want one of %s, or its number from 0", text, strings.Join(names, ", "))
}
