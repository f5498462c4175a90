package peers

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"lomo/internal/config"
	"lomo/internal/fault"
	"lomo/internal/tokenizer"
)

// dataset is an entry of datasets.
type dataset struct{ path, kind, split, weight, comment string }

// data takes over the data sets and how they are read.
func (im *importer) data() {
	var train, held []dataset
	switch im.tool {
	case config.Axolotl:
		train, held = im.axolotlData("datasets"), im.axolotlData("test_datasets")
		train = append(train, im.pretraining()...)
	case config.LLaMAFactory:
		info, dir := im.datasetInfo()
		train, held = im.factoryData("dataset", info, dir), im.factoryData("eval_dataset", info, dir)
	case config.Torchtune:
		train, held = im.tuneData("dataset"), im.tuneData("dataset_val")
	default:
		train, held = im.trlData()
	}
	if len(train) == 0 {
		im.assume("datasets", "[{path: train.jsonl, type: messages}]", "the file names no data set")
		im.note("datasets: the file names none; set path and type")
	} else {
		im.lists("datasets", train)
	}
	if len(held) > 0 {
		im.lists("eval_datasets", held)
		im.heldOut = true
	}
	if n, from := im.number(false, "val_set_size", "val_size", "test_split_size"); n != "" {
		v, _ := strconv.ParseFloat(n, 64)
		switch {
		case v > 0 && len(held) > 0:
			im.leave(from, "eval_datasets are the held-out data")
		case v > 0:
			im.set("val_set_size", n, from, "")
			im.heldOut = true
		}
	}
	im.template()
	if on, given, from := im.truth("train_on_inputs", "train_on_prompt", "dataset.train_on_input", "train_on_input"); given {
		im.set("train_on_inputs", strconv.FormatBool(on), from, "")
	}
	if on, given, from := im.truth("completion_only_loss", "assistant_only_loss"); given && !on && im.given["train_on_inputs"] == nil {
		im.set("train_on_inputs", "true", from, "false")
	}
	if on, given, from := im.truth("shuffle", "shuffle_merged_datasets", "shuffle_dataset"); given {
		im.set("shuffle", strconv.FormatBool(on), from, "")
	}
	if off, given, from := im.truth("disable_shuffling"); given {
		im.set("shuffle", strconv.FormatBool(!off), from, "turned round")
	}
	if n, from := im.number(true, "max_samples"); n != "" {
		im.leave(from, "the weight of a data set takes a share of it")
		im.alone("datasets: max_samples: %s took so many of each data set; weight: 0.1 takes a tenth", n)
	}
}

func (im *importer) lists(key string, sets []dataset) {
	var b strings.Builder
	for _, d := range sets {
		text := "path: " + quoted(d.path) + ", type: " + d.kind
		if d.split != "" {
			text += ", split: " + quoted(d.split)
		}
		if d.weight != "" {
			text += ", weight: " + d.weight
		}
		fmt.Fprintf(&b, "\n  - {%s}", text)
		if d.comment != "" {
			fmt.Fprintf(&b, " # %s", d.comment)
		}
	}
	from := "datasets"
	if key == "eval_datasets" {
		from = "held-out data"
	}
	im.set(key, b.String(), from, "")
}

// hubName tells names of a hub, OWNER/NAME, from paths of files.
func hubName(path string) bool {
	if !regexp.MustCompile(`^[A-Za-z0-9][\w.-]*/[\w.-]+$`).MatchString(path) || regexp.MustCompile(`\.(jsonl?|csv|parquet|txt|gguf|gz|zst|arrow)$`).MatchString(path) {
		return false
	}
	if owner, _, _ := strings.Cut(path, "/"); slices.Contains([]string{"data", "dataset", "datasets", "examples", "models", "checkpoints", "out", "output", "outputs"}, owner) {
		return false // folders are called so, owners of models seldom
	}
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// fromHub puts the folder to which a data set of a hub is fetched in its place.
func (im *importer) fromHub(d *dataset, where string) {
	if !hubName(d.path) {
		return
	}
	name := d.path
	d.path = "data/" + name[strings.LastIndex(name, "/")+1:]
	d.comment = strings.Trim(clean(name)+" of the hub; "+d.comment, "; ")
	im.alone("%s: `hf download --repo-type dataset %s --local-dir %s` fetches it from the hub", where, clean(name), clean(d.path))
}

var slice = regexp.MustCompile(`^(\w+)\[:(\d+)%\]$`)

// part takes over which part of a data set is meant.
func (im *importer) part(d *dataset, split, where string) {
	m := slice.FindStringSubmatch(split)
	switch {
	case split == "":
	case m != nil:
		n, _ := strconv.ParseFloat(m[2], 64)
		d.split, d.weight = m[1], strconv.FormatFloat(n/100, 'g', 6, 64)
	case strings.ContainsAny(split, "[+:"):
		im.alone("%s: split %s was left out; split names a part, weight a share of it", where, clean(split))
	default:
		d.split = split
	}
	if st, err := os.Stat(d.path); d.split == "train" && (err == nil && st.Mode().IsRegular() || filepath.Ext(d.path) != "" && !hubName(d.path)) {
		d.split = "" // a file has no parts
	}
}

func field(n *yaml.Node, name string) *yaml.Node {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return resolve(n.Content[i+1])
		}
	}
	return nil
}

func fieldText(n *yaml.Node, name string) string {
	if v := field(n, name); v != nil && v.Kind == yaml.ScalarNode && v.Tag != "!!null" {
		return v.Value
	}
	return ""
}

func items(n *yaml.Node) []*yaml.Node {
	if n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	var out []*yaml.Node
	for _, x := range n.Content {
		out = append(out, resolve(x))
	}
	return out
}

func words(n *yaml.Node) []string {
	var out []string
	for _, x := range items(n) {
		out = append(out, x.Value)
	}
	if n != nil && n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
		for _, w := range strings.Split(n.Value, ",") {
			if w = strings.TrimSpace(w); w != "" {
				out = append(out, w)
			}
		}
	}
	return out
}

// axolotlData reads axolotl's list of data sets.
func (im *importer) axolotlData(key string) []dataset {
	v, _ := im.get(key)
	var out []dataset
	to := map[string]string{"datasets": "datasets", "test_datasets": "eval_datasets"}[key]
	for i, n := range items(v) {
		where := fmt.Sprintf("%s[%d]", to, i)
		d := dataset{path: fieldText(n, "path")}
		files := words(field(n, "data_files"))
		if d.path == "" && len(files) == 0 {
			im.alone("%s: it names no path and was left out", where)
			continue
		}
		if len(files) > 0 && (slices.Contains([]string{"json", "jsonl", "csv", "parquet", "text", ""}, d.path) || len(files) == 1 && !hubName(d.path)) {
			if d.path = files[0]; len(files) > 1 {
				im.alone("%s: data_files names %d files; this takes the first, another entry of the list each other", where, len(files))
			}
			d.comment = "data_files"
		} else if len(files) > 0 {
			im.alone("%s: data_files (%s) choose among the files of %s; give path their pattern", where, clean(strings.Join(files, ", ")), clean(d.path))
		}
		im.axolotlType(&d, n, where)
		im.fromHub(&d, where)
		im.part(&d, fieldText(n, "split"), where)
		if s, err := strconv.ParseFloat(fieldText(n, "shards"), 64); err == nil && s > 1 {
			d.weight = strconv.FormatFloat(1/s, 'g', 4, 64)
		}
		if name := fieldText(n, "name"); name != "" {
			im.alone("%s: the part %s of the data set; let path name its files", where, clean(name))
		}
		if key == "datasets" {
			im.perDataset(n, where)
		}
		out = append(out, d)
	}
	return out
}

// axolotlType says what a record of one of axolotl's data sets holds.
func (im *importer) axolotlType(d *dataset, n *yaml.Node, where string) {
	kind := field(n, "type")
	if kind != nil && kind.Kind == yaml.MappingNode { // fields named one by one
		d.kind = "prompt_completion"
		in, out := fieldText(kind, "field_instruction"), fieldText(kind, "field_output")
		if in == "" {
			in = "instruction"
		}
		if out == "" {
			out = "output"
		}
		im.alone("%s: its own type has the fields %s and %s; type prompt_completion reads prompt and completion, question and answer and others (docs/data.md): rename those of the file", where, clean(in), clean(out))
		if f := fieldText(kind, "format"); f != "" {
			im.alone("%s: its format %s is not kept; write it into the prompts of the file", where, clean(f))
		}
		return
	}
	word := fieldText(n, "type")
	to, note := config.MeantWord("type", word)
	switch {
	case word == "":
		d.kind = "tokenized"
		d.comment = strings.Trim(d.comment+"; no type", "; ")
	case config.KnownType(word):
		d.kind = word
	case to == "":
		d.kind = "messages"
		im.alone("%s: type %s is not in lomo; set the type of its records, which docs/data.md lists", where, clean(word))
		d.comment = strings.Trim(d.comment+"; type "+clean(word), "; ")
	default:
		d.kind = to
		d.comment = strings.Trim(d.comment+"; type "+clean(word), "; ")
		if note != "" {
			im.alone("%s: type %s stands for %s: %s", where, to, clean(word), note)
		}
	}
	if d.kind == "messages" {
		if m := field(n, "message_property_mappings"); m != nil && fieldText(m, "role") == "from" || fieldText(n, "message_field_role") == "from" {
			d.kind = "sharegpt"
		}
		if f := fieldText(n, "field_messages"); f != "" && f != "messages" && f != "conversations" && f != "conversation" {
			im.alone("%s: the conversation stands in the field %s; rename it to messages", where, clean(f))
		}
	}
	if f := fieldText(n, "field"); f != "" && d.kind == "text" && f != "text" && f != "content" {
		im.alone("%s: the text stands in the field %s; rename it to text", where, clean(f))
	}
}

// perDataset takes over, for the whole run, what axolotl says of a data set.
func (im *importer) perDataset(n *yaml.Node, where string) {
	has := func(key string) bool { return slices.ContainsFunc(im.out, func(e entry) bool { return e.key == key }) }
	if roles := words(field(n, "roles_to_train")); len(roles) > 0 && !has("roles_to_train") {
		var ours []string
		for _, r := range roles {
			r = map[string]string{"gpt": "assistant", "model": "assistant", "human": "user"}[r] + map[bool]string{true: r}[r != "gpt" && r != "model" && r != "human"]
			if !slices.Contains(ours, r) {
				ours = append(ours, r)
			}
		}
		raw, _ := yaml.Marshal(ours)
		list := strings.ReplaceAll(strings.TrimSpace(strings.ReplaceAll(string(raw), "- ", "")), "\n", ", ")
		im.set("roles_to_train", "["+list+"]", where, "")
	}
	if eos := fieldText(n, "train_on_eos"); eos != "" && !has("train_on_eos") {
		if config.Takes("train_on_eos", eos) {
			im.set("train_on_eos", eos, where, "")
		} else {
			im.alone("%s: train_on_eos: %s was left out", where, clean(eos))
		}
	}
}

// pretraining is axolotl's stream of plain texts.
func (im *importer) pretraining() []dataset {
	v, _ := im.get("pretraining_dataset")
	if v == nil {
		return nil
	}
	list := items(v)
	if len(list) == 0 {
		list = []*yaml.Node{v}
	}
	var out []dataset
	for i, n := range list {
		d := dataset{path: n.Value, kind: "text", comment: "pretraining_dataset"}
		if n.Kind == yaml.MappingNode {
			d.path = fieldText(n, "path")
		}
		where := fmt.Sprintf("datasets[%d]", i)
		if f := fieldText(n, "text_column"); f != "" && f != "text" {
			im.alone("%s: the text stands in the field %s; rename it to text", where, clean(f))
		}
		im.fromHub(&d, where)
		im.part(&d, fieldText(n, "split"), where)
		out = append(out, d)
	}
	return out
}

// factoryEntry is an entry of LLaMA-Factory's dataset_info.json.
type factoryEntry struct {
	File       string            `json:"file_name"`
	Hub        string            `json:"hf_hub_url"`
	ModelScope string            `json:"ms_hub_url"`
	Script     string            `json:"script_url"`
	Formatting string            `json:"formatting"`
	Ranking    bool              `json:"ranking"`
	Split      string            `json:"split"`
	Subset     string            `json:"subset"`
	Samples    int               `json:"num_samples"`
	Columns    map[string]string `json:"columns"`
	Tags       map[string]string `json:"tags"`
}

// datasetInfo finds and reads dataset_info.json: in dataset_dir from here, or from the folder of the file or one above it.
func (im *importer) datasetInfo() (map[string]json.RawMessage, string) {
	dir, name := im.word("dataset_dir")
	if name == "" {
		dir = "data"
	}
	bases := []string{"."}
	for up, i := filepath.Dir(im.file), 0; i < 4; i++ {
		bases = append(bases, up)
		up = filepath.Join(up, "..")
	}
	if filepath.IsAbs(dir) {
		bases = []string{""}
	}
	for _, base := range bases {
		folder := filepath.Join(base, dir)
		path := filepath.Join(folder, "dataset_info.json")
		raw, err := fault.Read(path, maxFile)
		if err != nil {
			continue
		}
		var info map[string]json.RawMessage
		if json.Unmarshal(raw, &info) != nil {
			im.alone("datasets: %s cannot be read as JSON", clean(path))
			return nil, folder
		}
		return info, folder
	}
	im.alone("datasets: no dataset_info.json in %s, which says what each data set of LLaMA-Factory is", clean(dir))
	return nil, dir
}

// factoryData reads one of LLaMA-Factory's lists of names.
func (im *importer) factoryData(key string, info map[string]json.RawMessage, dir string) []dataset {
	v, _ := im.get(key)
	stage, _ := im.word("stage")
	var out []dataset
	for i, name := range words(v) {
		where := fmt.Sprintf("%s[%d]", map[string]string{"dataset": "datasets", "eval_dataset": "eval_datasets"}[key], i)
		d := dataset{kind: "messages", comment: clean(name)}
		var e factoryEntry
		switch raw := info[name]; {
		case raw == nil:
			d.path = filepath.Join(dir, name+".json")
			if info != nil {
				im.alone("%s: %s is not in dataset_info.json; set its path and type", where, clean(name))
			} else {
				im.alone("%s: %s; set its path and type", where, clean(name))
			}
			out = append(out, d)
			continue
		case json.Unmarshal(raw, &e) != nil:
			im.alone("%s: its entry in dataset_info.json cannot be read; set path and type", where)
		}
		switch {
		case e.File != "":
			d.path = filepath.Join(dir, e.File)
		case e.Hub != "":
			d.path = e.Hub
		case e.ModelScope != "":
			d.path = e.ModelScope
		default:
			d.path = filepath.Join(dir, name)
			im.alone("%s: %s is made by a script; set its path", where, clean(name))
		}
		if e.Ranking {
			im.alone("%s: %s holds preferences, which lomo does not learn", where, clean(name))
		}
		im.factoryType(&d, e, where, stage)
		im.fromHub(&d, where)
		im.part(&d, e.Split, where)
		if e.Subset != "" {
			im.alone("%s: the part %s of the data set; let path name its files", where, clean(e.Subset))
		}
		if e.Samples > 0 {
			im.alone("%s: num_samples %d; weight takes a share of the data set", where, e.Samples)
		}
		out = append(out, d)
	}
	return out
}

// factoryType says what a record of one of LLaMA-Factory's data sets holds.
func (im *importer) factoryType(d *dataset, e factoryEntry, where, stage string) {
	column := func(name, usual string) string {
		if len(e.Columns) == 0 {
			return usual
		}
		return e.Columns[name]
	}
	switch {
	case e.Formatting == "sharegpt" || e.Formatting == "openai":
		d.kind = "sharegpt"
		if e.Tags["role_tag"] == "role" || e.Formatting == "openai" {
			d.kind = "messages"
		}
		if f := e.Columns["messages"]; f != "" && f != "messages" && f != "conversations" && f != "conversation" {
			im.alone("%s: the conversation stands in the field %s; rename it to messages", where, clean(f))
		}
	case stage == "pt":
		d.kind = "text"
		if f := column("prompt", "text"); f != "text" && f != "content" {
			im.alone("%s: the text stands in the field %s; rename it to text", where, clean(f))
		}
	default:
		in, query, out := column("prompt", "instruction"), column("query", "input"), column("response", "output")
		if in == "instruction" && out == "output" && (query == "input" || query == "") {
			d.kind = "messages" // which writes instruction, input and history as turns, as LLaMA-Factory does
			return
		}
		d.kind = "prompt_completion"
		im.alone("%s: its fields are %s; docs/data.md lists those that type prompt_completion reads: rename them", where, clean(strings.Join(slices.DeleteFunc([]string{in, query, out}, func(s string) bool { return s == "" }), ", ")))
	}
}

// tuneData reads the data set of a torchtune recipe.
func (im *importer) tuneData(block string) []dataset {
	component, _ := im.word(block + "._component_")
	source, _ := im.word(block + ".source")
	files, _ := im.get(block + ".data_files")
	split, _ := im.word(block + ".split")
	style, _ := im.word(block + ".conversation_style")
	column, _ := im.word(block+".conversation_column", block+".column")
	if component == "" && source == "" {
		return nil
	}
	where := map[string]string{"dataset": "datasets[0]", "dataset_val": "eval_datasets[0]"}[block]
	short := component[strings.LastIndex(component, ".")+1:]
	d := dataset{path: source, comment: clean(short)}
	known := map[string][2]string{ // the data sets that torchtune knows by a name of its own
		"alpaca_dataset": {"tatsu-lab/alpaca", "alpaca"}, "alpaca_cleaned_dataset": {"yahma/alpaca-cleaned", "alpaca"}, "slimorca_dataset": {"Open-Orca/SlimOrca-Dedup", "sharegpt"},
		"text_completion_dataset": {"", "text"}, "wikitext_dataset": {"EleutherAI/wikitext_document_level", "text"}, "cnn_dailymail_articles_dataset": {"ccdv/cnn_dailymail", "text"},
		"chat_dataset": {"", "messages"}, "instruct_dataset": {"", "prompt_completion"}, "grammar_dataset": {"liweili/c4_200m", "prompt_completion"}, "samsum_dataset": {"Samsung/samsum", "prompt_completion"},
	}
	k, is := known[short]
	if !is {
		k = [2]string{"", "messages"}
		im.alone("%s: %s is not known; set path and type", where, clean(component))
	}
	if d.kind = k[1]; d.path == "" {
		d.path = k[0]
	}
	if list := words(files); len(list) > 0 && (d.path == "json" || d.path == "csv" || d.path == "parquet" || d.path == "text") {
		d.path = list[0]
	}
	if d.path == "" {
		d.path = "train.jsonl"
		im.alone("%s: no source; set its path", where)
	}
	if style == "sharegpt" {
		d.kind = "sharegpt"
	}
	switch {
	case d.kind == "prompt_completion":
		im.alone("%s: type prompt_completion reads prompt and completion, question and answer and others (docs/data.md); rename the fields of the file", where)
	case column != "" && !slices.Contains([]string{"messages", "conversations", "conversation", "text", "content"}, column):
		im.alone("%s: it stands in the field %s; rename it", where, clean(column))
	case d.kind == "alpaca":
		im.alone("%s: torchtune writes Stanford's prompt as a turn of the chat template, lomo's type alpaca as plain text; type messages makes turns of the records, without that prompt", where)
	}
	im.fromHub(&d, where)
	im.part(&d, split, where)
	return []dataset{d}
}

// trlData reads the data sets of TRL's scripts.
func (im *importer) trlData() (train, held []dataset) {
	field, _ := im.word("dataset_text_field")
	kind := "messages"
	if field != "" {
		kind = "text"
	}
	entry := func(path, split, where string) dataset {
		d := dataset{path: path, kind: kind, comment: ""}
		im.fromHub(&d, where)
		im.part(&d, split, where)
		return d
	}
	if v, _ := im.get("datasets"); v != nil {
		for i, n := range items(v) {
			if path := fieldText(n, "path"); path != "" {
				train = append(train, entry(path, fieldText(n, "split"), fmt.Sprintf("datasets[%d]", i)))
			}
		}
	}
	path, _ := im.word("dataset_name", "dataset", "train_file", "dataset_path")
	split, _ := im.word("dataset_train_split")
	test, testFrom := im.word("dataset_test_split")
	if path != "" {
		train = append(train, entry(path, split, "datasets[0]"))
		strategy, _ := im.word("eval_strategy")
		if testFrom != "" && strategy != "" && strategy != "no" {
			held = append(held, entry(path, test, "eval_datasets[0]"))
			im.look = slices.Compact(im.look)
		}
	}
	if name, from := im.word("dataset_config"); name != "" {
		im.leave(from, "path names files")
		im.alone("datasets[0]: the part %s of the data set; let path name its files", clean(name))
	}
	switch {
	case len(train) == 0:
	case field != "" && field != "text" && field != "content":
		im.alone("datasets[0]: the text stands in the field %s; rename it to text", clean(field))
	case field == "":
		im.alone("datasets[0]: TRL finds out what a record holds; lomo is told by type: messages, prompt_completion, text and others")
	}
	return train, held
}

// templates are what other trainers call the templates that lomo has.
var templates = map[string]string{
	"llama3": "llama-3", "llama3_2_vision": "llama-3", "llama-3": "llama-3", "llama2": "llama-2", "llama-2": "llama-2", "chatml": "chatml", "alpaca": "alpaca", "gemma": "gemma", "gemma2": "gemma", "gemma3": "gemma",
	"mistral": "mistral", "mistral_v1": "mistral", "mistral_v2v3": "mistral", "mistral_v3_tekken": "mistral", "qwen": "qwen", "qwen_25": "qwen", "qwen2": "qwen", "phi": "phi", "phi_3": "phi", "phi_35": "phi", "phi3": "phi", "zephyr": "zephyr", "deepseek": "deepseek",
}

func (im *importer) template() {
	name, from := im.word("chat_template", "template", "chat_template_path")
	jinja, jinjaFrom := im.word("chat_template_jinja")
	chats := slices.ContainsFunc(im.out, func(e entry) bool {
		return strings.HasSuffix(e.key, "datasets") && (strings.Contains(e.value, "type: messages") || strings.Contains(e.value, "type: sharegpt"))
	})
	head, _, _ := strings.Cut(name, "_default_fallback_") // axolotl: the tokenizer's own, and else another
	to := templates[head]
	switch {
	case jinja != "":
		im.set("chat_template", quoted(jinja), jinjaFrom, "")
	case name == "" || head == "tokenizer" || head == "tokenizer_default":
		if name != "" {
			im.set("chat_template", "tokenizer", from, clean(name))
		}
	case to != "" && slices.Contains(tokenizer.TemplateNames, to):
		im.set("chat_template", to, from, clean(name))
		if chats {
			im.note("chat_template: %s is lomo's own text; where the model came with a template, tokenizer takes that", to)
		}
	case strings.HasSuffix(name, ".jinja"):
		im.set("chat_template", quoted(name), from, "")
	default:
		im.leave(from, "lomo has no template of this name; the model's own is taken")
		if chats {
			im.alone("chat_template: %s is not in lomo; the model's own template is taken, and a model without one needs a name or a Jinja file", clean(name))
		}
	}
}
