// Package tfevents writes TensorBoard's event files: records of TFRecord, each a protobuf message Event with scalars
// (tensorboard/compat/proto/event.proto and summary.proto). It writes no more of them than a training run has to say.
package tfevents

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Numbers of the fields, as the .proto files give them.
const (
	eventWallTime, eventStep, eventFileVersion, eventSummary, eventSessionLog, eventSource = 1, 2, 3, 5, 7, 10

	sourceWriter          = 1
	summaryValue          = 1
	valueTag, valueSimple = 1, 2
	sessionStatus         = 1
	sessionStart          = 1 // a value of SessionLog.SessionStatus
)

// Scalar is a value under a name such as train/loss.
type Scalar struct {
	Tag   string
	Value float64
}

// Writer appends events to a file. Each is written at once, so a kill costs at most the one in work.
type Writer struct {
	f   *os.File
	now func() time.Time
}

// Open begins a file of its own in dir for a process that trains the steps after done. Readers take the files of a folder in the order of their
// names. Where there are files of an earlier process, a mark makes them drop what it wrote of the later steps: those come again.
func Open(dir string, done int, now func() time.Time) (*Writer, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	earlier, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	f, err := create(dir, host, now())
	if err != nil {
		return nil, err
	}
	w := &Writer{f, now}
	err = w.write(version(now()))
	if err == nil && len(earlier) > 0 {
		from := done + 1
		if done == 0 {
			from = 0 // an evaluation comes before the first step
		}
		err = w.write(restart(now(), from))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return w, nil
}

// create makes a file that no other process of this second has.
func create(dir, host string, now time.Time) (*os.File, error) {
	for n := 0; ; n++ {
		name := fmt.Sprintf("events.out.tfevents.%010d.%s.%d.%d", now.Unix(), filepath.Base(host), os.Getpid(), n)
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o644)
		if err == nil || !os.IsExist(err) {
			return f, err
		}
	}
}

// Scalars writes the values of a step as one event.
func (w *Writer) Scalars(step int, values []Scalar) error {
	return w.write(scalars(w.now(), step, values))
}

// Path is the file that is written.
func (w *Writer) Path() string { return w.f.Name() }

// Close closes the file.
func (w *Writer) Close() error { return w.f.Close() }

func (w *Writer) write(event []byte) error {
	_, err := w.f.Write(record(event))
	return err
}

// head is the time of an event and, unless it is 0, its step.
func head(now time.Time, step int) []byte {
	b := protowire.AppendTag(nil, eventWallTime, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, math.Float64bits(float64(now.Unix())+float64(now.Nanosecond())/1e9))
	if step != 0 {
		b = protowire.AppendTag(b, eventStep, protowire.VarintType)
		b = protowire.AppendVarint(b, uint64(step))
	}
	return b
}

// version is the first event of a file.
func version(now time.Time) []byte {
	b := protowire.AppendTag(head(now, 0), eventFileVersion, protowire.BytesType)
	b = protowire.AppendString(b, "brain.Event:2")
	source := protowire.AppendTag(nil, sourceWriter, protowire.BytesType)
	source = protowire.AppendString(source, "lomo")
	b = protowire.AppendTag(b, eventSource, protowire.BytesType)
	return protowire.AppendBytes(b, source)
}

// restart says that what has been written of step and later ones comes again.
func restart(now time.Time, step int) []byte {
	log := protowire.AppendTag(nil, sessionStatus, protowire.VarintType)
	log = protowire.AppendVarint(log, sessionStart)
	b := protowire.AppendTag(head(now, step), eventSessionLog, protowire.BytesType)
	return protowire.AppendBytes(b, log)
}

func scalars(now time.Time, step int, values []Scalar) []byte {
	var summary []byte
	for _, v := range values {
		value := protowire.AppendTag(nil, valueTag, protowire.BytesType)
		value = protowire.AppendString(value, v.Tag)
		value = protowire.AppendTag(value, valueSimple, protowire.Fixed32Type)
		value = protowire.AppendFixed32(value, math.Float32bits(float32(v.Value)))
		summary = protowire.AppendTag(summary, summaryValue, protowire.BytesType)
		summary = protowire.AppendBytes(summary, value)
	}
	b := protowire.AppendTag(head(now, step), eventSummary, protowire.BytesType)
	return protowire.AppendBytes(b, summary)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is the checksum of TFRecord: a CRC-32C that is turned and shifted, so that a checksum of data with checksums in it is not weak.
func masked(data []byte) uint32 {
	crc := crc32.Checksum(data, castagnoli)
	return (crc>>15 | crc<<17) + 0xa282ead8
}

// record frames data: its length, the length's checksum, data, its checksum.
func record(data []byte) []byte {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, len(data)+16), uint64(len(data)))
	b = binary.LittleEndian.AppendUint32(b, masked(b))
	b = append(b, data...)
	return binary.LittleEndian.AppendUint32(b, masked(data))
}
