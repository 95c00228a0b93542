// Package lease holds the noun Lease, and Ledger, the pure core that decides who gets which Slices and until when.
package lease

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sluice/broker/device"
)

// Limits on what a Request may say.
const (
	TenantBytesMax = 63
	HolderBytesMax = 128
	SlicesMax      = 8
	DurationMin    = time.Second
	DurationMax    = 24 * time.Hour
)

// Kinds of errors.
var (
	ErrNoCapacity = errors.New("no capacity")       // well formed, but the pool lacks what is asked; the text names it
	ErrNotFound   = errors.New("no such lease")     // unknown, ended, expired or released
	ErrInvalid    = errors.New("invalid request")   // the text names the field and its limit
	ErrExists     = errors.New("lease id is taken") // a caller's mistake: ids are made unique
)

// RunHolder begins the Holder of a `sluice run`; every other Holder is an Instance.
const RunHolder = "run:"

// Lease is one or more Slices granted to one holder of one tenant until a time.
type Lease struct {
	ID        string         `json:"id"`
	Tenant    string         `json:"tenant"`
	Holder    string         `json:"holder"` // an Instance's id, or RunHolder and the pid of a `sluice run`
	Slices    []device.Slice `json:"slices"` // every DeviceID is filled in
	Token     string         `json:"token"`  // secret that a shim shows to use the Lease: 64 hexadecimal digits
	GrantedAt time.Time      `json:"granted_at"`
	ExpiresAt time.Time      `json:"expires_at"`
}

// MemoryBytes is the sum of the Slices' memory.
func (l Lease) MemoryBytes() uint64 {
	var sum uint64
	for _, s := range l.Slices {
		sum += s.MemoryBytes
	}
	return sum
}

// ComputeMilli is the sum of the Slices' compute, in thousandths of a Device.
func (l Lease) ComputeMilli() int {
	var sum int
	for _, s := range l.Slices {
		sum += s.ComputeMilli
	}
	return sum
}

// Devices names the Slices' Devices, separated by commas.
func (l Lease) Devices() string {
	ids := make([]string, 0, len(l.Slices))
	for _, s := range l.Slices {
		ids = append(ids, s.DeviceID)
	}
	return strings.Join(ids, ",")
}

// TokenIs compares token with the Lease's in a time that does not depend on where they differ.
func (l Lease) TokenIs(token string) bool {
	return l.Token != "" && subtle.ConstantTimeCompare([]byte(l.Token), []byte(token)) == 1
}

// Request asks for a Lease.
type Request struct {
	Tenant   string
	Holder   string
	API      string         // device.APIOpenCL; empty means any
	Slices   []device.Slice // one or more, each of another Device of one driver
	Duration time.Duration  // how long the Lease lives unless it is renewed
}

// Validate checks everything that does not depend on the pool; the error wraps ErrInvalid.
func (r Request) Validate() error {
	if r.Tenant == "" || len(r.Tenant) > TenantBytesMax {
		return fmt.Errorf("%w: tenant has %d bytes, must have 1 to %d", ErrInvalid, len(r.Tenant), TenantBytesMax)
	}
	if r.Holder == "" || len(r.Holder) > HolderBytesMax {
		return fmt.Errorf("%w: holder has %d bytes, must have 1 to %d", ErrInvalid, len(r.Holder), HolderBytesMax)
	}
	if !utf8.ValidString(r.Tenant) || !utf8.ValidString(r.Holder) {
		return fmt.Errorf("%w: tenant or holder is not UTF-8", ErrInvalid)
	}
	if len(r.Slices) == 0 || len(r.Slices) > SlicesMax {
		return fmt.Errorf("%w: %d slices, must be 1 to %d", ErrInvalid, len(r.Slices), SlicesMax)
	}
	for i, s := range r.Slices {
		if err := s.Validate(); err != nil {
			return fmt.Errorf("%w: slice %d: %w", ErrInvalid, i, err)
		}
		if s.DeviceID != "" && slices.ContainsFunc(r.Slices[:i], func(other device.Slice) bool { return other.DeviceID == s.DeviceID }) {
			return fmt.Errorf("%w: slice %d: device %s twice, each slice is of another device", ErrInvalid, i, s.DeviceID)
		}
	}
	return validateDuration(r.Duration)
}

func validateDuration(d time.Duration) error {
	if d < DurationMin || d > DurationMax {
		return fmt.Errorf("%w: duration %s, must be %s to %s", ErrInvalid, d, DurationMin, DurationMax)
	}
	return nil
}

// EventKind says what happened to a Lease.
type EventKind string

// The kinds of events, in the order in which a Lease can see them; Lost, Expired and Released are final.
const (
	EventGranted  EventKind = "granted"
	EventRenewed  EventKind = "renewed"
	EventReleased EventKind = "released" // its holder gave it back
	EventExpired  EventKind = "expired"  // nobody renewed it
	EventLost     EventKind = "lost"     // its worker died
)

// Event is something that happened to a Lease. The Lease in it carries no Token.
type Event struct {
	Kind   EventKind
	Lease  Lease
	Reason string // of EventLost: how the worker ended, e.g. "killed by signal: SIGKILL"
}
