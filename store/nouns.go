package store

import (
	"errors"
	"fmt"
	"regexp"
	"time"
)

// DefaultTenant is the tenant of a developer's machine. It exists on a fresh store.
const DefaultTenant = "default"

// MaxNameBytes is the longest name of a tenant or a function: a DNS label (RFC 1123, section 2.1).
const MaxNameBytes = 63

// ErrInvalid marks input that breaks a rule of this package; the message names the field and the limit.
var ErrInvalid = errors.New("invalid")

var labelPattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// CheckName reports whether name is a DNS label as tenants and functions need it: 1 to 63 of a-z, 0-9 and
// '-', neither first nor last a '-'. The error wraps ErrInvalid and names field.
func CheckName(field, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: %s: a name is needed (1 to %d of a-z, 0-9, '-')", ErrInvalid, field, MaxNameBytes)
	case len(name) > MaxNameBytes:
		return fmt.Errorf("%w: %s: %d bytes are over the limit of %d", ErrInvalid, field, len(name), MaxNameBytes)
	case !labelPattern.MatchString(name):
		return fmt.Errorf("%w: %s: %q is not a DNS label (a-z, 0-9, '-'; neither first nor last a '-')", ErrInvalid, field, name)
	}
	return nil
}

// Function is what a tenant deployed under one name; its Versions are records of their own.
type Function struct {
	Tenant    string    `json:"tenant"`
	Name      string    `json:"name"`
	Latest    string    `json:"latest"` // Number of the Version that requests without one go to
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// Version is one deployed FunctionSpec. It never changes.
type Version struct {
	Tenant    string       `json:"tenant"`
	Function  string       `json:"function"`
	Number    string       `json:"number"` // "1", "2", ... in the order of deployment
	Spec      FunctionSpec `json:"spec"`
	CreatedAt time.Time    `json:"created_at"`
}

// Kinds of records.
const (
	KindTenant   Kind = "tenant"
	KindFunction Kind = "function"
	KindVersion  Kind = "version"
	KindAPIKey   Kind = "api_key"
)

// Object is a noun that is kept as a record: its kind and its name within the kind.
type Object interface {
	RecordKind() Kind
	RecordName() string
}

func (Tenant) RecordKind() Kind   { return KindTenant }
func (Function) RecordKind() Kind { return KindFunction }
func (Version) RecordKind() Kind  { return KindVersion }
func (APIKey) RecordKind() Kind   { return KindAPIKey }

func (t Tenant) RecordName() string   { return t.Name }
func (f Function) RecordName() string { return FunctionRecord(f.Tenant, f.Name) }
func (v Version) RecordName() string  { return VersionRecord(v.Tenant, v.Function, v.Number) }
func (k APIKey) RecordName() string   { return k.Hash }

// FunctionRecord is the record name of a function: "tenant/function".
func FunctionRecord(tenant, function string) string { return tenant + "/" + function }

// VersionRecord is the record name of a version: "tenant/function/number".
func VersionRecord(tenant, function, number string) string {
	return tenant + "/" + function + "/" + number
}
