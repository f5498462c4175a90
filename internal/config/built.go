package config

import (
	"fmt"
	"slices"
	"strings"
)

// built are the values this build can run, of keys whose list is longer.
var built = map[string][]string{
	"device": {"auto", "cpu"}, "sharding": {"none"}, "offload": {"none"}, "activation_offload": {"none"},
	"dtype": {"bf16", "f32"}, "method": {"full"}, "optimizer": {"adalomo", "lomo", "adamw", "sgd"},
	"loss_spike": {"off"}, "report_to": {"json"}, "adalomo.importance": {"none"},
	"type": {"alpaca", "messages", "prompt_completion", "text", "tokenized"},
}

// thisBuild refuses what a later version will do.
func (l *Loaded) thisBuild(p *problems) {
	for _, k := range keys {
		v, _ := l.Get(k.Name)
		switch v := v.(type) {
		case string:
			l.supported(p, k.Name, k.Name, v)
		case []string:
			for _, word := range v {
				l.supported(p, k.Name, k.Name, word)
			}
		case []Dataset:
			for i, d := range v {
				l.supported(p, k.Name, "type", d.Type)
				l.supportedFile(p, fmt.Sprintf("%s[%d].path", k.Name, i), l.where(k.Name), d.Path)
			}
		}
	}
	if l.Devices > 1 {
		p.add(l.where("devices"), "set devices: 1", "devices: %d is not supported by this build yet", l.Devices)
	}
	if l.NEFTuneAlpha > 0 {
		p.add(l.where("neftune_alpha"), "set neftune_alpha: 0", "neftune_alpha: %v is not supported by this build yet", l.NEFTuneAlpha)
	}
}

func (l *Loaded) supported(p *problems, key, table, value string) {
	if can, limited := built[table]; limited && !slices.Contains(can, value) {
		p.add(l.where(key), "this build has "+strings.Join(can, ", "), "%s: %s is not supported by this build yet", key, value)
	}
}

// supportedFile refuses data files whose format a later version will read.
func (l *Loaded) supportedFile(p *problems, name, where, path string) {
	for _, ext := range []string{".parquet", ".csv"} {
		if strings.HasSuffix(strings.ToLower(path), ext) {
			p.add(where, "convert it to jsonl", "%s: %s: %s files are not supported by this build yet", name, path, ext[1:])
		}
	}
}
