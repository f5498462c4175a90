package data

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"lomo/internal/data/records"
	"lomo/internal/jinja"
	"lomo/internal/strictjson"
	"lomo/internal/suggest"
	"lomo/internal/tokenizer"
)

// conversationFields are the names of a record's list of messages, by type.
var conversationFields = map[string][]string{
	"messages": {"messages", "conversations", "conversation"},
	"sharegpt": {"conversations", "conversation", "messages"},
}

// messages reads {messages: [{role, content}]} as OpenAI writes chats, and a question with its answer as two such turns.
func messages(e *encoder, r records.Record) error {
	if _, err := r.First(conversationFields["messages"]...); err != nil && asks(r) {
		return e.exchange(r)
	}
	return e.conversation(r, "messages")
}

// sharegpt reads {conversations: [{from, value}]}.
func sharegpt(e *encoder, r records.Record) error { return e.conversation(r, "sharegpt") }

// conversation reads the messages of a record of either type, under the names of both.
func (e *encoder) conversation(r records.Record, typ string) error {
	if err := refuseUnused(r, true); err != nil {
		return err
	}
	field, err := r.First(conversationFields[typ]...)
	if err != nil {
		return err
	}
	list, err := turns(r, field)
	if err != nil {
		return err
	}
	if err := answerInside(r, list); err != nil {
		return err
	}
	if list, err = withSystem(r, list); err != nil {
		return err
	}
	e.unread.fields(r, slices.Concat(chatFields, []string{field}, repeated(r, list))...)
	return e.chat(r, list)
}

// chatFields are the fields of a record that go with its messages.
var chatFields = append([]string{"tools", "documents", "chat_template_kwargs", "weight", "train"}, systemNames...)

// repeated are the fields that say again what a message says, as many sets have a prompt beside the messages.
func repeated(r records.Record, list []turn) (names []string) {
	for name, raw := range r.Fields {
		var text string
		if len(raw) > 0 && raw[0] == '"' && strictjson.Unmarshal(raw, &text) == nil && slices.ContainsFunc(list, func(t turn) bool { return t.text == text }) {
			names = append(names, name)
		}
	}
	return names
}

// answerInside refuses an answer that stands beside the messages instead of being the last of them.
func answerInside(r records.Record, list []turn) error {
	answered := slices.ContainsFunc(list, func(t turn) bool {
		role, err := roleOf(&t)
		return err == nil && role == "assistant"
	})
	for _, name := range answerNames {
		if hasContent(r, name) && (!answered || name == "completion" && isList(r.Fields[name])) {
			return r.Refuse("add it to the messages, or write prompt and completion as lists of messages (type prompt_completion)", "field %q: an answer beside the messages is not learned", name)
		}
	}
	return nil
}

// asks reports whether a record without messages has a question and an answer, under names that prompt_completion or alpaca take.
func asks(r records.Record) bool {
	_, noPrompt := r.First(promptNames...)
	_, noAnswer := r.First(answerNames...)
	return noPrompt == nil && noAnswer == nil
}

// exchange reads a question and its answer as a user's and the assistant's turn. An instruction takes its input on the next line,
// and the turns of history come before, as LLaMA-Factory writes them.
func (e *encoder) exchange(r records.Record) error {
	taken := slices.Clone(chatFields)
	instructs := hasContent(r, "instruction")
	if instructs {
		taken = append(taken, "history", "context")
	}
	if err := refuseUnused(r, false, taken...); err != nil {
		return err
	}
	var question, answer string
	var list []turn
	if instructs {
		var err error
		if question, err = r.String("instruction"); err != nil {
			return err
		}
		input, err := optOneOf(r, "input", "context")
		if err != nil {
			return err
		}
		if input != "" {
			question += "\n" + input
		}
		if answer, _, err = oneOf(r, answerNames...); err != nil {
			return err
		}
		before, err := historyOf(r)
		if err != nil {
			return err
		}
		for _, pair := range before {
			list = append(list, said("user", pair[0]), said("assistant", pair[1]))
		}
		taken = append(append(taken, "instruction", "input", "text"), answerNames...) // text: the rendering that Stanford put beside
	} else {
		asked, answered, err := promptPair(r)
		if err != nil {
			return err
		}
		if question, err = r.String(asked); err != nil {
			return err
		}
		if answer, err = r.String(answered); err != nil {
			return err
		}
		taken = append(taken, asked, answered)
	}
	list, err := withSystem(r, append(list, said("user", question), said("assistant", answer)))
	if err != nil {
		return err
	}
	e.unread.fields(r, taken...)
	return e.chat(r, list)
}

// said is a turn of plain text.
func said(role, text string) turn {
	content, _ := json.Marshal(text) // a string has no error
	return turn{role: role, text: text, content: content}
}

// withSystem puts the record's own system text before its messages.
func withSystem(r records.Record, list []turn) ([]turn, error) {
	system, err := systemText(r)
	if err != nil || system == "" {
		return list, err
	}
	if len(list) > 0 && list[0].role == "system" {
		if list[0].text == system {
			return list, nil
		}
		return nil, r.Refuse("leave one of them out", "field %q and a first message of role system say different things", systemNames[slices.IndexFunc(systemNames, func(n string) bool { return hasContent(r, n) })])
	}
	return append([]turn{said("system", system)}, list...), nil
}

// conversationPair reads prompt and completion as lists of messages, as TRL does: the prompt's are not learned.
func (e *encoder) conversationPair(r records.Record, prompt, completion string) error {
	if err := refuseUnused(r, true); err != nil {
		return err
	}
	for _, name := range []string{prompt, completion} {
		if !isList(r.Fields[name]) && !holdsMessages(r.Fields[name]) {
			return r.Refuse("both are texts, or both are lists of messages", "field %q: a text beside a list of messages", name)
		}
	}
	list, err := turns(r, prompt)
	if err != nil {
		return err
	}
	for i := range list {
		if list[i].train == nil {
			list[i].train = new(bool)
		}
	}
	answer, err := turns(r, completion)
	if err != nil {
		return err
	}
	if len(answer) == 0 {
		return r.Errorf("field %q: no message", completion)
	}
	if list, err = withSystem(r, append(list, answer...)); err != nil {
		return err
	}
	e.unread.fields(r, slices.Concat(chatFields, []string{prompt, completion})...)
	return e.chat(r, list)
}

// chat adds a conversation as the chat template writes it.
func (e *encoder) chat(r records.Record, list []turn) error {
	if len(list) == 0 {
		return r.Errorf("the conversation has no message")
	}
	o := tokenizer.ChatOptions{Roles: e.o.RolesToTrain, TrainOnEOS: e.o.TrainOnEOS, Template: e.o.ChatTemplate}
	if err := templateVariables(r, &o); err != nil {
		return err
	}
	if err := e.knownVariables(r, o.Args); err != nil {
		return err
	}
	if err := e.knownRoles(r, list); err != nil {
		return err
	}
	if source := e.templateSource(); source != "" {
		e.unread.turns(r, list, source)
	}
	for i := range list {
		if t := &list[i]; e.learns(t) && strings.TrimSpace(t.text) == "" && !t.has("tool_calls") && !t.reasons() {
			e.notes.Add("learned turns that are empty: only their end is learned", r.Place(), "")
		}
	}
	for i := range list {
		if n := list[i].brokenCalls(); n > 0 {
			e.notes.AddAll(Note{What: "tool calls whose arguments are text that is no JSON: written as they are", Count: n, First: r.Place(), Advice: `write {} for none`})
		}
	}
	var c tokenizer.Conversation
	var first error
	for _, w := range e.wordings(list) {
		msgs, err := w.messages(r, list)
		if err != nil {
			return err
		}
		if c, err = e.tok.ChatTokens(msgs, o); err == nil {
			first = nil
			break
		}
		lacks := (*tokenizer.ChatError)(nil) // says more than what a template stumbles over
		if first == nil || !errors.As(first, &lacks) && errors.As(err, &lacks) {
			first = err
		}
	}
	if first != nil {
		bad := &records.Error{Path: r.Path, Line: r.Line, Row: r.Row, Err: first}
		if bad.Hint() == "" {
			bad.Advice = "see chat_template: the tokenizer's own, or a Jinja template that takes messages of these roles"
		}
		return bad
	}
	if c.NoEnd > 0 {
		e.notes.AddAll(Note{What: "learned turns without a token that ends them: the model does not learn to stop", Count: c.NoEnd, First: r.Place(),
			Advice: "choose a chat_template whose turns end in a token of the tokenizer; where the end stands behind the template's generation marks, train_on_eos: all learns it"})
	}
	if c.Unmarked > 0 {
		e.notes.AddAll(Note{What: "turns that are not learned, as they stand outside the template's generation marks", Count: c.Unmarked, First: r.Place()})
	}
	if c.Shortened > 0 {
		e.notes.AddAll(Note{What: "messages of which the chat template leaves out a part, such as the reasoning of earlier turns", Count: c.Shortened, First: r.Place()})
	}
	if c.LastOnly {
		e.notes.Add("conversations of which only the last turn is learned, as the template writes earlier turns anew", r.Place(), "")
	}
	return e.masked(r, c.IDs, c.Train)
}

// reserved are the variables of a template that chat_template_kwargs cannot name: the record has them itself, or the run decides.
var reserved = []string{"messages", "conversation", "tools", "documents", "add_generation_prompt", "continue_final_message", "tokenize", "chat_template", "padding", "truncation", "max_length",
	"return_tensors", "return_dict", "return_assistant_tokens_mask", "tokenizer_kwargs", "bos_token", "eos_token"}

// templateVariables reads what a record gives its template besides messages.
func templateVariables(r records.Record, o *tokenizer.ChatOptions) error {
	var err error
	if o.Tools, err = objects(r, "tools"); err != nil {
		return err
	}
	if o.Documents, err = objects(r, "documents"); err != nil {
		return err
	}
	const name = "chat_template_kwargs"
	if !hasContent(r, name) {
		return nil
	}
	v, err := parsed(r.Fields[name], "{")
	if err != nil {
		return r.FieldError(name, err)
	}
	args, ok := v.(*jinja.Dict)
	if !ok {
		return r.Errorf("field %q: want an object of the template's variables", name)
	}
	for _, key := range args.Keys() {
		if slices.Contains(reserved, key) {
			return r.Refuse("leave it out: messages, tools and documents are fields of the record, all else is the run's to say", "field %q: %q is not a variable that a record gives", name, key)
		}
	}
	o.Args = args
	return nil
}

// knownVariables refuses variables that the template does not have: they would change nothing.
func (e *encoder) knownVariables(r records.Record, args *jinja.Dict) error {
	source := e.templateSource()
	if args == nil || source == "" {
		return nil
	}
	for _, key := range args.Keys() {
		if !names(source, key) {
			return r.Refuse("leave it out, or choose a chat_template that has it", "field \"chat_template_kwargs\": the chat template has no variable %q", key)
		}
	}
	return nil
}

// templateSource is the chat template's text, "" where it is not known.
func (e *encoder) templateSource() string {
	t, ok := e.tok.(interface{ TemplateSource(string) (string, error) })
	if !ok {
		return ""
	}
	source, err := t.TemplateSource(e.o.ChatTemplate)
	if err != nil {
		return ""
	}
	return source
}

// learns reports whether a turn is learned.
func (e *encoder) learns(t *turn) bool {
	if t.train != nil {
		return *t.train
	}
	role, err := roleOf(t)
	if len(e.o.RolesToTrain) == 0 {
		return err == nil && role == "assistant"
	}
	return err == nil && slices.Contains(e.o.RolesToTrain, role)
}

// otherAssistants are names that other programs give the assistant.
var otherAssistants = []string{"model", "bot", "ai", "chatbot", "assistant_response", "llm"}

// knownRoles refuses turns that would not be learned for the spelling of their role, and counts those of roles that nobody named.
func (e *encoder) knownRoles(r records.Record, list []turn) error {
	for i := range list {
		t := &list[i]
		role, err := roleOf(t)
		e.roles[role] = true
		if err != nil || t.train != nil || slices.Contains(e.o.RolesToTrain, role) || slices.Contains(plainRoles, role) {
			continue
		}
		usual := strings.ToLower(strings.TrimSpace(role))
		meant := usualRoles[usual]
		if meant == "" && usual != role && slices.Contains(plainRoles, usual) {
			meant = usual
		}
		if meant == "" && slices.Contains(otherAssistants, usual) {
			meant = "assistant"
		}
		advice := ""
		if near := misspelt(usual, slices.Concat(e.o.RolesToTrain, plainRoles)); near != "" && meant == "" {
			if advice = fmt.Sprintf("did you mean %q?", near); e.learns(&turn{role: near}) {
				meant = near
			}
		}
		switch {
		case meant != "":
			return r.Refuse(fmt.Sprintf("write it as %s, or name it in roles_to_train", meant), "message %d: the role is %q, which is not learned as %s", i+1, short([]byte(role)), meant)
		case !slices.Contains(neverLearned, role):
			e.notes.Add(fmt.Sprintf("messages of role %q, which roles_to_train does not name: not learned", short([]byte(role))), r.Place(), advice)
		}
	}
	return nil
}

// misspelt is the role that another one was most likely meant to be, "" for none. assistant_2 is a name of its own, not a slip.
func misspelt(role string, roles []string) string {
	near := suggest.Nearest(role, roles)
	if near == "" || near == role || slices.Contains(neverLearned, role) || strings.HasPrefix(role, near) && strings.Trim(role[len(near):], "abcdefghijklmnopqrstuvwxyz") != "" {
		return ""
	}
	return near
}

// neverLearned are further roles that nobody expects to be learned.
var neverLearned = []string{"developer", "function", "ipython", "environment", "context", "documents", "tools", "tool_response", "tool_result"}

// reasons reports whether a turn holds reasoning.
func (t *turn) reasons() bool {
	return t.has("reasoning_content") || t.has("thinking") || t.has("reasoning")
}

// objects is a field that holds a list of objects for the template, nil if there is none.
func objects(r records.Record, name string) (jinja.Value, error) {
	if !r.Has(name) || string(r.Fields[name]) == `""` {
		return nil, nil
	}
	v, err := parsed(r.Fields[name], "[")
	if err != nil {
		return nil, r.FieldError(name, err)
	}
	list, ok := v.(*jinja.List)
	if !ok {
		return nil, r.Errorf("field %q: want a list of objects, or one as JSON in a string", name)
	}
	out := jinja.NewList()
	for i := range list.Len() {
		item := list.At(i)
		if text, ok := jinja.Text(item); ok { // an object as JSON in a string, as columns of tables have it
			if item, err = jinja.ParseJSON([]byte(text)); err != nil {
				return nil, r.Errorf("%s[%d]: want an object: %w", name, i, err)
			}
		}
		if _, ok := item.(*jinja.Dict); !ok {
			return nil, r.Errorf("%s[%d]: want an object", name, i)
		}
		out.Append(item)
	}
	return out, nil
}

// parsed is a value for a template; JSON in a string that begins with one of these characters is read.
func parsed(raw json.RawMessage, begin string) (jinja.Value, error) {
	raw, err := unquoted(raw, begin)
	if err != nil {
		return nil, err
	}
	return jinja.ParseJSON(raw)
}

// usualRoles are the speakers of ShareGPT files under the names that templates know.
var usualRoles = map[string]string{
	"human": "user", "gpt": "assistant", "chatgpt": "assistant", "bing": "assistant", "bard": "assistant", "observation": "tool", "function_response": "tool",
	functionCall: "assistant",
}

// functionCall is a speaker whose words are a call, {"name", "arguments"} as JSON, or several.
const functionCall = "function_call"

// plainRoles are roles that ShareGPT files use too.
var plainRoles = []string{"user", "assistant", "system", "tool"}

// roleOf is a turn's role as templates know it. Whoever else speaks in a ShareGPT file is refused; of messages the template decides.
func roleOf(t *turn) (string, error) {
	if usual := usualRoles[t.role]; usual != "" {
		return usual, nil
	}
	if t.spoken && !slices.Contains(plainRoles, t.role) {
		return "", fmt.Errorf("from is %q, want human, gpt, system, function_call, observation or tool", t.role)
	}
	return t.role, nil
}

// wording is a form of messages that a template takes: those of one kind fail on the other, or write what nobody meant.
type wording struct {
	parts bool // content in parts stays a list, else it is one text
	calls bool // arguments of calls that are JSON in a string become objects, as transformers' templates want them
	null  bool // content that is null or missing is passed as none, as transformers did before its fifth version
	empty bool // content that is null or missing is "": many templates add it to a text
}

// Templates that look into content or arguments say so.
var (
	readsParts   = regexp.MustCompile(`content['"\])]*\s+is\s+(not\s+)?(string|iterable|sequence|mapping)|for\s+\w+\s+in\s+[^%}]*content`)
	readsStrings = regexp.MustCompile(`arguments['"\])]*\s+is\s+(not\s+)?string`)
	readsNone    = regexp.MustCompile(`content['"\])]*\s*(\s+is\s+(not\s+)?|[!=]=\s*)[nN]one\b`)
	readsObjects = regexp.MustCompile(`arguments['"\])]*\s+is\s+(not\s+)?mapping`)
)

// wordings are the forms to try: what the template asks for first, then the other.
func (e *encoder) wordings(list []turn) []wording {
	if !slices.ContainsFunc(list, func(t turn) bool { return t.parts || len(t.fields) > 0 }) {
		return []wording{{}}
	}
	if e.wording == nil {
		w := wording{calls: true}
		if source := e.templateSource(); source != "" {
			w.parts = readsParts.MatchString(source)
			w.calls = !readsStrings.MatchString(source) || readsObjects.MatchString(source)
		}
		e.wording = &w
	}
	w := *e.wording
	out := []wording{w}
	if w.parts && slices.ContainsFunc(list, func(t turn) bool { return t.parts }) {
		out = append(out, wording{calls: w.calls})
	}
	if slices.ContainsFunc(list, func(t turn) bool { return t.has("tool_calls") }) {
		out = append(out, wording{parts: w.parts, calls: !w.calls})
	}
	if slices.ContainsFunc(list, func(t turn) bool { return t.content == nil || string(t.content) == "null" }) {
		given := out
		for _, w := range given {
			if w.null = true; readsNone.MatchString(e.templateSource()) { // others would write the word None
				out = append(out, w)
			}
		}
		for _, w := range given {
			w.empty = true
			out = append(out, w)
		}
	}
	return out
}

// messages is the turns as the tokenizer takes them.
func (w wording) messages(r records.Record, list []turn) ([]tokenizer.Message, error) {
	out := make([]tokenizer.Message, len(list))
	for i := range list {
		var err error
		if out[i], err = w.message(&list[i]); err != nil {
			bad := &records.Error{Path: r.Path, Line: r.Line, Row: r.Row, Err: fmt.Errorf("message %d: %w", i+1, err)}
			if e := (*Error)(nil); errors.As(err, &e) {
				bad.Advice = e.Advice
			}
			return nil, bad
		}
	}
	return out, nil
}

func (w wording) message(t *turn) (m tokenizer.Message, err error) {
	m = tokenizer.Message{Content: t.text, Train: t.train}
	if m.Role, err = roleOf(t); err != nil {
		return m, err
	}
	if t.role == functionCall {
		return m, calledInText(&m, t)
	}
	plain := len(t.content) > 0 && t.content[0] == '"' || t.parts && !w.parts
	if plain && len(t.fields) == 0 {
		return m, nil
	}
	m.Fields = jinja.NewDict()
	m.Fields.Set("role", m.Role)
	switch {
	case plain:
		m.Fields.Set("content", t.text)
	case w.null && (t.content == nil || string(t.content) == "null"):
		m.NullContent = true
	case w.empty && (t.content == nil || string(t.content) == "null"):
		m.Fields.Set("content", "")
	case t.content != nil:
		v, err := jinja.ParseJSON(t.content)
		if err != nil {
			return m, fmt.Errorf("content: %w", err)
		}
		m.Content = ""
		m.Fields.Set("content", v)
	}
	for _, f := range t.fields {
		v, err := parsed(f.Value, "")
		if f.Name == "tool_calls" {
			v, err = w.toolCalls(f.Value)
		}
		if err != nil {
			return m, fmt.Errorf("%s: %w", f.Name, err)
		}
		m.Fields.Set(f.Name, v)
	}
	return m, nil
}

// toolCalls reads a list of calls, {"function": {"name", "arguments"}} or {"name", "arguments"}.
func (w wording) toolCalls(raw json.RawMessage) (jinja.Value, error) {
	v, err := parsed(raw, "[")
	if err != nil {
		return nil, err
	}
	list, ok := v.(*jinja.List)
	if !ok {
		return nil, errors.New("want a list of calls")
	}
	out := jinja.NewList()
	for i := range list.Len() {
		call, ok := list.At(i).(*jinja.Dict)
		if !ok {
			return nil, fmt.Errorf("call %d: want an object", i+1)
		}
		inner, nested := call, false
		if f, ok := call.Get("function"); ok {
			if inner, nested = f.(*jinja.Dict); !nested {
				return nil, fmt.Errorf("call %d: function: want an object of name and arguments", i+1)
			}
		}
		if name, _ := inner.Get("name"); !isText(name) {
			return nil, &Error{Msg: fmt.Sprintf("call %d: the name of the function is missing", i+1), Advice: `a call is {"type": "function", "function": {"name": "…", "arguments": {…}}}`}
		}
		changed := w.withArguments(inner)
		if nested {
			changed = with(call, "function", changed)
		}
		out.Append(changed)
	}
	return out, nil
}

// withArguments is a call whose arguments are an object where they are one as JSON in a string.
func (w wording) withArguments(call *jinja.Dict) *jinja.Dict {
	given, _ := call.Get("arguments")
	text, ok := jinja.Text(given)
	if !ok || !w.calls {
		return call
	}
	if v, err := jinja.ParseJSON([]byte(text)); err == nil {
		if args, ok := v.(*jinja.Dict); ok {
			return with(call, "arguments", args)
		}
	}
	return call
}

// brokenCalls counts calls whose arguments are a text, but not one of JSON.
func (t *turn) brokenCalls() (n int) {
	for _, f := range t.fields {
		if f.Name != "tool_calls" {
			continue
		}
		raw, err := unquoted(f.Value, "[")
		if err != nil {
			return n
		}
		calls, _ := strictjson.Elements(raw) // what is no list is refused elsewhere
		for _, call := range calls {
			if inner := member(call, "function"); inner != nil {
				call = inner
			}
			var text string
			if given := member(call, "arguments"); len(given) > 0 && given[0] == '"' && strictjson.Unmarshal(given, &text) == nil && strictjson.Check([]byte(text)) != nil {
				n++
			}
		}
	}
	return n
}

// member is the value of a name in an object, nil if there is none.
func member(object json.RawMessage, name string) json.RawMessage {
	members, err := strictjson.Members(object)
	if err != nil {
		return nil
	}
	for _, m := range members {
		if m.Name == name {
			return m.Value
		}
	}
	return nil
}

// with is a copy of d with another value for a key.
func with(d *jinja.Dict, key string, v jinja.Value) *jinja.Dict {
	out := jinja.NewDict()
	for _, k := range d.Keys() {
		old, _ := d.Get(k)
		if k == key {
			old = v
		}
		out.Set(k, old)
	}
	return out
}

func isText(v jinja.Value) bool {
	s, ok := jinja.Text(v)
	return ok && s != ""
}

// calledInText makes tool_calls of the text of a function_call turn.
func calledInText(m *tokenizer.Message, t *turn) error {
	advice := `its value is JSON: {"name": "…", "arguments": {…}}, or a list of such calls`
	v, err := jinja.ParseJSON([]byte(t.text))
	if err != nil {
		return &Error{Msg: "function_call: the value is not JSON", Advice: advice}
	}
	list, ok := v.(*jinja.List)
	if !ok {
		list = jinja.NewList(v)
	}
	calls := jinja.NewList()
	for i := range list.Len() {
		call, ok := list.At(i).(*jinja.Dict)
		if !ok {
			return &Error{Msg: "function_call: the value is no call", Advice: advice}
		}
		if name, _ := call.Get("name"); !isText(name) {
			return &Error{Msg: "function_call: the name of the function is missing", Advice: advice}
		}
		full := jinja.NewDict()
		full.Set("type", "function")
		full.Set("function", wording{calls: true}.withArguments(call))
		calls.Append(full)
	}
	if calls.Len() == 0 {
		return &Error{Msg: "function_call: the value holds no call", Advice: advice}
	}
	m.Content = ""
	m.Fields = jinja.NewDict()
	m.Fields.Set("role", m.Role)
	m.Fields.Set("content", "")
	m.Fields.Set("tool_calls", calls)
	for _, f := range t.fields {
		v, err := parsed(f.Value, "")
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		m.Fields.Set(f.Name, v)
	}
	return nil
}

// has reports whether a turn has a field with something in it.
func (t *turn) has(name string) bool {
	return slices.ContainsFunc(t.fields, func(f strictjson.Member) bool { return f.Name == name && !emptyJSON(f.Value) })
}
