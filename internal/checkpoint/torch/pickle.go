package torch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"lomo/internal/fault"
	"lomo/internal/tensor"
)

// The opcodes that torch.save writes for a dictionary of tensors (pickle protocol 2, formats.md 3); all others are errors.
const (
	opMark       = '('
	opStop       = '.'
	opBinInt     = 'J'
	opBinInt1    = 'K'
	opBinInt2    = 'M'
	opNone       = 'N'
	opBinPersID  = 'Q'
	opReduce     = 'R'
	opBinUnicode = 'X'
	opAppend     = 'a'
	opBuild      = 'b'
	opGlobal     = 'c'
	opAppends    = 'e'
	opBinGet     = 'h'
	opLongBinGet = 'j'
	opBinPut     = 'q'
	opLongBinPut = 'r'
	opSetItem    = 's'
	opTuple      = 't'
	opSetItems   = 'u'
	opEmptyTuple = ')'
	opEmptyDict  = '}'
	opEmptyList  = ']'
	opBinFloat   = 'G'
	opProto      = 0x80
	opTuple1     = 0x85
	opTuple2     = 0x86
	opTuple3     = 0x87
	opNewTrue    = 0x88
	opNewFalse   = 0x89
	opLong1      = 0x8a
)

const (
	maxValues = 1 << 21  // made over a whole pickle: a tensor takes some 70, so 30,000 tensors
	maxText   = 64 << 10 // bytes of one string
	maxDims   = 16
)

// global is a name that a pickle may mention. Each is one of ours: what it stands for is in this file.
type global string

const (
	orderedDict   global = "collections OrderedDict"
	rebuildTensor global = "torch._utils _rebuild_tensor_v2"
	rebuildParam  global = "torch._utils _rebuild_parameter"
)

// storages are the names of storage types.
var storages = map[global]tensor.DType{
	"torch FloatStorage": tensor.F32, "torch DoubleStorage": tensor.F64, "torch HalfStorage": tensor.F16, "torch BFloat16Storage": tensor.BF16,
	"torch LongStorage": tensor.I64, "torch IntStorage": tensor.I32, "torch ShortStorage": tensor.I16, "torch CharStorage": tensor.I8,
	"torch ByteStorage": tensor.U8, "torch BoolStorage": tensor.Bool,
}

// storage is one of the archive's data/ members.
type storage struct {
	key   string
	dtype tensor.DType
	numel int64
}

// entry is one tensor of the dictionary.
type entry struct {
	name    string
	storage storage
	offset  int
	shape   []int
	stride  []int
}

// The values of the machine: nil, bool, int64, float64, string, global, storage, and these.
type (
	mark  struct{}
	tuple []any
	list  struct{ items []any }
	dict  struct{ keys, values []any }
)

// machine reads one pickle. What it makes is counted and never given back, because the memo may hold it: an opcode is one byte, a value 16
// bytes or more.
type machine struct {
	in    []byte
	stack []any
	memo  map[uint32]any
	made  int
}

// What else than one value an opcode makes.
const (
	madeMemo   = 4  // an entry of a map
	madeObject = 20 // a tensor, a storage or a dictionary
)

var errShort = errors.New("it ends too early")

// unpickle returns the tensors of the dictionary that raw describes, in its order.
func unpickle(raw []byte) ([]entry, error) {
	m := &machine{in: raw, memo: map[uint32]any{}}
	for {
		op, err := m.bytes(1)
		if err != nil {
			return nil, err
		}
		if op[0] == opStop {
			break
		}
		if err := m.step(op[0]); err != nil {
			return nil, fmt.Errorf("byte %d, opcode 0x%02x: %w", len(raw)-len(m.in)-1, op[0], err)
		}
		if m.made > maxValues {
			return nil, fmt.Errorf("more than %d values, at byte %d", maxValues, len(raw)-len(m.in))
		}
	}
	top, err := m.pop()
	if err != nil {
		return nil, err
	}
	d, ok := top.(*dict)
	if !ok {
		return nil, fmt.Errorf("it holds %s, want a dictionary of tensors", kind(top))
	}
	return d.tensors()
}

func (d *dict) tensors() ([]entry, error) {
	var out []entry
	for i, k := range d.keys {
		name, ok := k.(string)
		if !ok {
			return nil, fmt.Errorf("key %d is %s, want a name", i, kind(k))
		}
		e, ok := d.values[i].(entry)
		if !ok {
			return nil, fmt.Errorf("entry %q is %s, want a tensor", fault.Line(name), kind(d.values[i]))
		}
		e.name = name
		out = append(out, e)
	}
	return out, nil
}

// kind is what a value is, in a few words; of a text its beginning.
func kind(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return "a truth value"
	case int64:
		return fmt.Sprintf("the number %d", v)
	case float64:
		return fmt.Sprintf("the number %v", v)
	case string:
		return fmt.Sprintf("the text %q", fault.Line(v))
	case global:
		return string(v)
	case storage:
		return "a storage"
	case entry:
		return "a tensor"
	case tuple:
		return "a tuple"
	case *list:
		return "a list"
	case *dict:
		return "a dictionary"
	}
	return "a mark"
}

// bytes takes the next n bytes.
func (m *machine) bytes(n int) ([]byte, error) {
	if n < 0 || n > len(m.in) {
		return nil, errShort
	}
	b := m.in[:n]
	m.in = m.in[n:]
	return b, nil
}

func (m *machine) push(v any) {
	m.stack = append(m.stack, v)
	m.made++
}

func (m *machine) pop() (any, error) {
	if len(m.stack) == 0 {
		return nil, errors.New("the stack is empty")
	}
	v := m.stack[len(m.stack)-1]
	m.stack = m.stack[:len(m.stack)-1]
	return v, nil
}

// popN takes n values, the deepest first.
func (m *machine) popN(n int) ([]any, error) {
	if n > len(m.stack) {
		return nil, errors.New("the stack is too short")
	}
	return m.above(len(m.stack)-n, 0), nil
}

// popMark takes what lies above the last mark, and the mark.
func (m *machine) popMark() ([]any, error) {
	for i := len(m.stack) - 1; i >= 0; i-- {
		if _, ok := m.stack[i].(mark); ok {
			return m.above(i, 1), nil
		}
	}
	return nil, errors.New("there is no mark")
}

// above takes the stack down to at, and gives a copy of what was there but for the first skip values.
func (m *machine) above(at, skip int) []any {
	v := append([]any(nil), m.stack[at+skip:]...)
	m.stack = m.stack[:at]
	m.made += len(v)
	return v
}

// step does one opcode.
func (m *machine) step(op byte) error {
	switch op {
	case opProto:
		b, err := m.bytes(1)
		if err == nil && b[0] != 2 {
			err = fmt.Errorf("pickle protocol %d, want 2", b[0])
		}
		return err
	case opMark:
		m.push(mark{})
	case opNone:
		m.push(nil)
	case opNewTrue, opNewFalse:
		m.push(op == opNewTrue)
	case opEmptyTuple:
		m.push(tuple{})
	case opEmptyDict:
		m.made += madeObject
		m.push(&dict{})
	case opEmptyList:
		m.made += madeObject
		m.push(&list{})
	case opBinInt, opBinInt1, opBinInt2, opLong1, opBinFloat, opBinUnicode, opGlobal:
		return m.literal(op)
	case opBinPut, opLongBinPut, opBinGet, opLongBinGet:
		return m.remember(op)
	case opTuple1, opTuple2, opTuple3, opTuple, opAppend, opAppends, opSetItem, opSetItems:
		return m.collect(op)
	case opBinPersID, opReduce, opBuild:
		m.made += madeObject
		return m.construct(op)
	default:
		return errors.New("it is not one that torch.save writes for tensors")
	}
	return nil
}

// literal pushes a number, a text or a name.
func (m *machine) literal(op byte) error {
	if op == opGlobal {
		return m.global()
	}
	size := map[byte]int{opBinInt: 4, opBinInt1: 1, opBinInt2: 2, opLong1: 1, opBinFloat: 8, opBinUnicode: 4}[op]
	b, err := m.bytes(size)
	if err != nil {
		return err
	}
	switch op {
	case opBinInt:
		m.push(int64(int32(binary.LittleEndian.Uint32(b))))
	case opBinInt1:
		m.push(int64(b[0]))
	case opBinInt2:
		m.push(int64(binary.LittleEndian.Uint16(b)))
	case opBinFloat:
		m.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
	case opLong1:
		return m.long(int(b[0]))
	case opBinUnicode:
		n := binary.LittleEndian.Uint32(b)
		if n > maxText {
			return fmt.Errorf("text of %d bytes, want at most %d", n, maxText)
		}
		text, err := m.bytes(int(n))
		if err != nil {
			return err
		}
		m.push(string(text))
	}
	return nil
}

// long pushes an integer of n bytes, little-endian two's complement.
func (m *machine) long(n int) error {
	b, err := m.bytes(n)
	if err != nil {
		return err
	}
	if n > 8 {
		return fmt.Errorf("integer of %d bytes, want at most 8", n)
	}
	v := int64(0)
	for i, x := range b {
		v |= int64(x) << (8 * i)
	}
	if n > 0 && n < 8 && b[n-1] >= 0x80 {
		v -= 1 << (8 * n)
	}
	m.push(v)
	return nil
}

// global pushes a name of the table.
func (m *machine) global() error {
	module, err := m.line()
	if err != nil {
		return err
	}
	name, err := m.line()
	if err != nil {
		return err
	}
	g := global(module + " " + name)
	if _, ok := storages[g]; !ok && g != orderedDict && g != rebuildTensor && g != rebuildParam {
		return fmt.Errorf("it names %q of module %q, which weights do not need: refused", fault.Line(name), fault.Line(module))
	}
	m.push(g)
	return nil
}

func (m *machine) line() (string, error) {
	for i, c := range m.in {
		if i > 256 {
			break
		}
		if c == '\n' {
			s := string(m.in[:i])
			m.in = m.in[i+1:]
			return s, nil
		}
	}
	return "", errors.New("a name without an end")
}

// remember puts the top of the stack into the memo, or pushes what is there.
func (m *machine) remember(op byte) error {
	size := 1
	if op == opLongBinPut || op == opLongBinGet {
		size = 4
	}
	b, err := m.bytes(size)
	if err != nil {
		return err
	}
	i := uint32(b[0])
	if size == 4 {
		i = binary.LittleEndian.Uint32(b)
	}
	if op == opBinPut || op == opLongBinPut {
		if len(m.stack) == 0 {
			return errors.New("the stack is empty")
		}
		m.memo[i] = m.stack[len(m.stack)-1]
		m.made += madeMemo
		return nil
	}
	v, ok := m.memo[i]
	if !ok {
		return fmt.Errorf("nothing is remembered as %d", i)
	}
	m.push(v)
	return nil
}

// collect makes tuples, and fills lists and dictionaries.
func (m *machine) collect(op byte) error {
	var items []any
	var err error
	switch op {
	case opTuple, opAppends, opSetItems:
		items, err = m.popMark()
	case opTuple1, opAppend:
		items, err = m.popN(1)
	case opTuple2, opSetItem:
		items, err = m.popN(2)
	case opTuple3:
		items, err = m.popN(3)
	}
	if err != nil {
		return err
	}
	if op == opTuple || op == opTuple1 || op == opTuple2 || op == opTuple3 {
		m.push(tuple(items))
		return nil
	}
	if len(m.stack) == 0 {
		return errors.New("the stack is empty")
	}
	switch into := m.stack[len(m.stack)-1].(type) {
	case *list:
		if op == opAppend || op == opAppends {
			into.items = append(into.items, items...)
			return nil
		}
	case *dict:
		if (op == opSetItem || op == opSetItems) && len(items)%2 == 0 {
			for i := 0; i < len(items); i += 2 {
				into.keys, into.values = append(into.keys, items[i]), append(into.values, items[i+1])
			}
			return nil
		}
	}
	return fmt.Errorf("it fills %s", kind(m.stack[len(m.stack)-1]))
}

// construct makes storages, tensors and ordered dictionaries.
func (m *machine) construct(op byte) error {
	n := 2
	if op == opBinPersID {
		n = 1
	}
	args, err := m.popN(n)
	if err != nil {
		return err
	}
	switch op {
	case opBuild: // a dictionary's attributes, such as _metadata: of no use here
		if _, ok := args[0].(*dict); !ok {
			return fmt.Errorf("it sets attributes of %s", kind(args[0]))
		}
		m.push(args[0])
		return nil
	case opBinPersID:
		s, err := toStorage(args[0])
		m.push(s)
		return err
	}
	with, ok := args[1].(tuple)
	if !ok {
		return errors.New("a call without arguments")
	}
	switch args[0] {
	case orderedDict:
		if len(with) > 0 {
			return fmt.Errorf("an ordered dictionary of %d arguments, want none", len(with))
		}
		m.push(&dict{})
		return nil
	case rebuildTensor:
		e, err := toTensor(with)
		m.push(e)
		return err
	case rebuildParam:
		if len(with) != 3 {
			return fmt.Errorf("a parameter of %d arguments, want 3", len(with))
		}
		if _, ok := with[0].(entry); !ok {
			return fmt.Errorf("a parameter of %s, want a tensor", kind(with[0]))
		}
		m.push(with[0])
		return nil
	}
	return fmt.Errorf("it calls %s", kind(args[0]))
}

// toStorage is ("storage", type, key, location, numel).
func toStorage(v any) (storage, error) {
	t, ok := v.(tuple)
	if !ok || len(t) != 5 || t[0] != "storage" {
		return storage{}, errors.New("a reference that is not a storage")
	}
	g, ok1 := t[1].(global)
	key, ok2 := t[2].(string)
	numel, ok3 := t[4].(int64)
	dt, ok4 := storages[g]
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return storage{}, fmt.Errorf("a storage of %s, whose key is %s and whose elements are %s", kind(t[1]), kind(t[2]), kind(t[4]))
	}
	return storage{key, dt, numel}, nil
}

// toTensor is (storage, offset, size, stride, requires_grad, hooks), and what later versions add.
func toTensor(t tuple) (entry, error) {
	if len(t) < 6 || len(t) > 7 {
		return entry{}, fmt.Errorf("a tensor of %d arguments, want 6", len(t))
	}
	s, ok := t[0].(storage)
	offset, ok1 := t[1].(int64)
	shape, err1 := toInts(t[2])
	stride, err2 := toInts(t[3])
	if !ok || !ok1 || offset < 0 {
		return entry{}, fmt.Errorf("a tensor of %s, whose offset is %s", kind(t[0]), kind(t[1]))
	}
	return entry{storage: s, offset: int(offset), shape: shape, stride: stride}, errors.Join(err1, err2)
}

func toInts(v any) ([]int, error) {
	t, ok := v.(tuple)
	if !ok || len(t) > maxDims {
		return nil, errors.New("a shape or stride that is not a tuple of a few numbers")
	}
	out := make([]int, len(t))
	for i, x := range t {
		n, ok := x.(int64)
		if !ok || n < 0 {
			return nil, fmt.Errorf("a shape or stride with %s in it", kind(x))
		}
		out[i] = int(n)
	}
	return out, nil
}
