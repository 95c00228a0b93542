package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const auditMode = 0o600

// Audit is the record of what was changed: a file of JSON lines that are only ever added. It may be moved away at any time.
type Audit struct {
	path  string
	mutex sync.Mutex
}

// NewAudit makes an Audit over a file, which need not exist.
func NewAudit(path string) *Audit { return &Audit{path: path} }

// entry is one line.
type entry struct {
	Time    time.Time                  `json:"time"`
	Who     string                     `json:"who"`
	What    string                     `json:"what"` // the method
	On      map[string]json.RawMessage `json:"on"`   // fields of the request
	Outcome string                     `json:"outcome"`
	Error   string                     `json:"error,omitempty"`
}

// recorded lists the fields of requests that an entry has. Others may be long or secret.
var recorded = []protoreflect.Name{
	"tenant", "name", "function", "version", "id", "key_id", "label", "lease_id", "holder", "disabled", "limits", "grace",
}

// maxFieldBytes is how much of a field a line holds.
const maxFieldBytes = 512

// Check says whether a line can be added.
func (a *Audit) Check() error {
	file, err := a.open()
	if err != nil {
		return err
	}
	return file.Close()
}

func (a *Audit) open() (*os.File, error) {
	return os.OpenFile(a.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, auditMode)
}

// add writes a line, and returns when it is on the disk.
func (a *Audit) add(caller Caller, method string, request any, outcome error) error {
	line := entry{Time: time.Now().UTC(), Who: caller.Name, What: path.Base(method), On: fieldsOf(request), Outcome: status.Code(outcome).String()}
	if outcome != nil {
		line.Error = status.Convert(outcome).Message()
	}
	text, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("encoding the audit line: %w", err)
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	file, err := a.open()
	if err != nil {
		return err
	}
	_, err = file.Write(append(text, '\n'))
	return errors.Join(err, file.Sync(), file.Close())
}

func fieldsOf(request any) map[string]json.RawMessage {
	fields := make(map[string]json.RawMessage)
	message, ok := request.(proto.Message)
	if !ok {
		return fields
	}
	message.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if !slices.Contains(recorded, field.Name()) {
			return true
		}
		if text, err := textOf(field, value); err == nil && len(text) <= maxFieldBytes {
			fields[string(field.Name())] = text
		}
		return true
	})
	return fields
}

func textOf(field protoreflect.FieldDescriptor, value protoreflect.Value) (json.RawMessage, error) {
	if field.Kind() == protoreflect.MessageKind && !field.IsList() {
		return protojson.MarshalOptions{UseProtoNames: true}.Marshal(value.Message().Interface())
	}
	return json.Marshal(value.Interface())
}
