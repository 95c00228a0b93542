// Package handover is what the daemon and a worker say to each other: how the daemon starts sluice-worker, and the
// messages on the worker's control socket.
//
// # Start
//
// The daemon runs `sluice-worker -stage STAGE MODE`. Standard input is a gate: the worker does nothing before it has read
// Gate there, so that the daemon can put it into a cgroup and record it first; at an end of file without it the daemon
// has died, and the worker ends. Standard error is the worker's log file. In mode "serve", descriptor ListenerFD is the
// control socket, listening; in mode "probe", standard output takes the inventory; in mode "watch", a device.HealthEvent as
// JSON in each line, until the reader is gone.
//
// # Control socket
//
// A SOCK_SEQPACKET unix socket; one message is one packet of JSON, at most MessageBytesMax bytes, with at most one
// descriptor. The daemon connects; when it is gone, the next daemon does. A worker may be of an older build than that one,
// so messages only ever gain fields, and unknown fields are passed over. In order:
//
//	worker  Ready          the driver is loaded
//	daemon  Assign         once in a worker's life
//	worker  Assigned
//	daemon  Session + fd   a shim's connection; any number, after Assigned
//	worker  SessionEnded   when that Session is over
//	daemon  StatsRequest   at any time
//	worker  Stats
//	daemon  BuildsRequest  where Ready said that it keeps builds
//	worker  Builds + fd    the descriptor where it has any
//
// With Assign comes the descriptor of an earlier package of builds, where there is one (package sluice/broker/buildcache).
package handover

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"sluice/broker/device"
)

// Gate is what opens the gate.
const Gate = "go"

// ListenerFD is the worker's descriptor of its control socket.
const ListenerFD = 3

// BuildsVariable is the worker's environment variable of the folder in which drivers keep what they compile.
const BuildsVariable = "XDG_CACHE_HOME"

// Modes of sluice-worker.
const (
	ModeProbe = "probe"
	ModeServe = "serve"
	ModeWatch = "watch"
)

// Stages of a worker's start.
const (
	StageConfine  = "confine"  // in new namespaces, still privileged in them: builds its view of the files, then executes itself
	StageConfined = "confined" // without privileges: filters system calls, then does its work
	StagePlain    = "plain"    // not confined at all, on a host that does not let us
)

// Limits of a message.
const (
	MessageBytesMax = 16 << 10
	ReasonBytesMax  = 1 << 10
)

// ErrMessage is wrapped by errors about a malformed message. The connection is of no more use then.
var ErrMessage = errors.New("malformed control message")

// Inventory is the answer of a probe.
type Inventory struct {
	Devices []device.Device `json:"devices"`
	Notes   []string        `json:"notes,omitempty"` // what was skipped and why
}

// Message is one packet; exactly one field is set.
type Message struct {
	Ready        *Ready        `json:"ready,omitempty"`
	Assign       *Assign       `json:"assign,omitempty"`
	Assigned     *Assigned     `json:"assigned,omitempty"`
	Session      *Session      `json:"session,omitempty"`
	SessionEnded *SessionEnded `json:"session_ended,omitempty"`
	StatsRequest *StatsRequest `json:"stats_request,omitempty"`
	Stats        *Stats        `json:"stats,omitempty"`

	BuildsRequest *BuildsRequest `json:"builds_request,omitempty"`
	Builds        *Builds        `json:"builds,omitempty"`
}

// carriesFile says whether a descriptor travels beside the message.
func (m Message) carriesFile() bool {
	return m.Session != nil || m.Assign != nil && m.Assign.Builds || m.Builds != nil && m.Builds.Packed
}

// Ready says that the driver is loaded and the worker can be assigned.
type Ready struct {
	Devices int   `json:"devices"` // how many the worker sees
	LoadMs  int64 `json:"load_ms"` // how long the driver took to load

	KeepsBuilds bool `json:"keeps_builds,omitempty"` // it answers BuildsRequest

	LeaseID      string `json:"lease_id,omitempty"` // of the Lease that an earlier daemon assigned
	ProtocolHash uint64 `json:"protocol_hash"`      // wire.ProtocolHash of the worker's build: it serves shims of that one
}

// Assign gives the worker its Lease.
type Assign struct {
	LeaseID       string           `json:"lease_id"`
	Tenant        string           `json:"tenant"`
	Holder        string           `json:"holder"`
	MemoryBytes   uint64           `json:"memory_bytes"`   // of all Slices
	ComputeMilli  int              `json:"compute_milli"`  // of all Slices, kept by the worker's cgroup
	PlatformIndex int              `json:"platform_index"` // of device.Device
	Devices       []AssignedDevice `json:"devices"`        // in the order of the Slices

	Builds bool `json:"builds,omitempty"` // what the tenant has built before comes beside it
}

// AssignedDevice is a Slice as the worker sees it.
type AssignedDevice struct {
	Index       int    `json:"index"` // of device.Device in its platform
	MemoryBytes uint64 `json:"memory_bytes"`
}

// Assigned answers Assign.
type Assigned struct {
	Error string `json:"error,omitempty"` // why it cannot serve the Lease; empty when it can
}

// Session hands over a shim's connection, whose greeting the daemon has read and accepted. The descriptor travels beside
// it.
type Session struct {
	ID         string `json:"id"`
	PID        uint32 `json:"pid"`         // as the shim names itself, for the log
	APIVersion uint32 `json:"api_version"` // of the shim's greeting
}

// SessionEnded says that a Session is over.
type SessionEnded struct {
	ID    string `json:"id"`
	Error string `json:"error,omitempty"` // why, when the shim did not simply leave
}

// StatsRequest asks for Stats.
type StatsRequest struct{}

// Stats counts since the worker started, but for SessionsOpen and MemoryBytes, which are of now. A worker may lie in
// them: nothing is enforced by them.
type Stats struct {
	Sessions        uint64 `json:"sessions"`
	SessionsOpen    uint64 `json:"sessions_open"`
	Calls           uint64 `json:"calls"`
	BytesToDevice   uint64 `json:"bytes_to_device"`
	BytesFromDevice uint64 `json:"bytes_from_device"`
	MemoryBytes     uint64 `json:"memory_bytes"` // device memory allocated
}

// BuildsRequest asks for what the driver has compiled.
type BuildsRequest struct{}

// Builds answers BuildsRequest.
type Builds struct {
	Packed bool   `json:"packed,omitempty"` // a package comes beside it
	Error  string `json:"error,omitempty"`
}

// encode checks and marshals a message.
func encode(m Message) ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	packet, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encoding a control message: %w", err)
	}
	if len(packet) > MessageBytesMax {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrMessage, len(packet), MessageBytesMax)
	}
	return packet, nil
}

// decode takes one JSON object with exactly one kind of message.
func decode(packet []byte) (Message, error) {
	if len(packet) > MessageBytesMax {
		return Message{}, fmt.Errorf("%w: %d bytes, at most %d", ErrMessage, len(packet), MessageBytesMax)
	}
	decoder := json.NewDecoder(bytes.NewReader(packet))
	var m Message
	if err := decoder.Decode(&m); err != nil {
		return Message{}, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Message{}, fmt.Errorf("%w: more after the object", ErrMessage)
	}
	return m, m.check()
}

func (m Message) check() error {
	set := 0
	for _, present := range []bool{
		m.Ready != nil, m.Assign != nil, m.Assigned != nil, m.Session != nil,
		m.SessionEnded != nil, m.StatsRequest != nil, m.Stats != nil, m.BuildsRequest != nil, m.Builds != nil,
	} {
		if present {
			set++
		}
	}
	switch {
	case set != 1:
		return fmt.Errorf("%w: %d kinds in one message, must be 1", ErrMessage, set)
	case m.Assign != nil && (m.Assign.LeaseID == "" || m.Assign.PlatformIndex < 0):
		return fmt.Errorf("%w: assign without a lease id, or with a negative index", ErrMessage)
	case m.Session != nil && m.Session.ID == "":
		return fmt.Errorf("%w: session without an id", ErrMessage)
	case m.Assigned != nil && len(m.Assigned.Error) > ReasonBytesMax,
		m.Builds != nil && len(m.Builds.Error) > ReasonBytesMax,
		m.SessionEnded != nil && len(m.SessionEnded.Error) > ReasonBytesMax:
		return fmt.Errorf("%w: error text over %d bytes", ErrMessage, ReasonBytesMax)
	}
	return nil
}

// Reason is an error's text, cut to what a message may carry; empty for nil.
func Reason(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	if len(text) > ReasonBytesMax {
		text = text[:ReasonBytesMax]
	}
	return text
}
