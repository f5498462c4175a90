package config

import (
	"slices"
	"strings"
)

// built are the values this build can run, of keys whose list is longer.
var built = map[string][]string{
	"dtype": {"bf16", "f32"}, "method": {"full"}, "optimizer": {"adalomo", "lomo", "adamw", "sgd"},
	"loss_spike": {"off"}, "report_to": {"json"}, "adalomo.importance": {"none"},
}

// thisBuild refuses what a later version will do.
func (l *Loaded) thisBuild(p *problems) {
	for _, k := range keys {
		v, _ := l.Get(k.Name)
		switch v := v.(type) {
		case string:
			l.supported(p, k.Name, v)
		case []string:
			for _, word := range v {
				l.supported(p, k.Name, word)
			}
		}
	}
	if l.NEFTuneAlpha > 0 {
		p.add(l.where("neftune_alpha"), "set neftune_alpha: 0", "neftune_alpha: %v is not supported by this build yet", l.NEFTuneAlpha)
	}
}

func (l *Loaded) supported(p *problems, key, value string) {
	if can, limited := built[key]; limited && !slices.Contains(can, value) {
		p.add(l.where(key), "this build has "+strings.Join(can, ", "), "%s: %s is not supported by this build yet", key, value)
	}
}
