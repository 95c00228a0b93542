// Package sandbox holds the nouns Sandbox, Spec and Instance: how one running Version of a Function is confined, and the
// lifecycle that a scheduler can rely on whatever does the confining. Package sandboxtest proves an implementation.
//
//	Create --> created --Start--> running --(exits, Stop, Kill)--> stopped --Delete--> gone
//
// Delete is allowed in every state. An Instance outlives the program that made it: List finds it again.
package sandbox

import (
	"context"
	"errors"
	"net"
	"time"
)

// Kinds of errors.
var (
	ErrInvalid       = errors.New("invalid spec")              // the text names the field and its limit
	ErrExists        = errors.New("instance exists")           // Create: the id is taken
	ErrNotFound      = errors.New("no such instance")          // it was deleted
	ErrImageNotFound = errors.New("no such image")             // Create: build and import it first
	ErrState         = errors.New("not possible in state")     // such as Start of an Instance that runs
	ErrProgram       = errors.New("program cannot be started") // the command is missing or not executable
)

// Sandbox makes Instances and finds those that were made before.
type Sandbox interface {
	// Create prepares an Instance up to the moment before its program runs, so that Start is quick.
	// When it fails nothing is left behind. A program that cannot be run fails here or at Start with ErrProgram.
	Create(ctx context.Context, spec Spec) (Instance, error)

	// List returns every Instance that exists, in any state, in the order of their ids: also those that
	// another process created. What cannot be used any more is listed as stopped, so that it can be deleted.
	List(ctx context.Context) ([]Instance, error)
}

// Instance is one running Sandbox of one Version. Its methods may be called from several goroutines.
type Instance interface {
	Identity() Identity

	// PID is the program's process id as the host sees it; 0 before Start and after the exit was noticed.
	PID() int

	// State asks what the Instance is doing now.
	State(ctx context.Context) (State, error)

	// Start runs the program. It fails with ErrState when that was done before, with ErrProgram when the
	// program cannot be run.
	Start(ctx context.Context) error

	// Wait returns when the program has exited, at once if it has already. It may be called in every state
	// and from several goroutines. An Instance that is deleted before it started has the Code ExitUnknown.
	Wait(ctx context.Context) (Exit, error)

	// Stop asks the program to end (SIGTERM), kills everything in the Instance once the grace is over, and
	// returns when it has exited. A program that is the first of its container and installs no handler
	// does not notice SIGTERM. Stop of what does not run is no error.
	Stop(ctx context.Context, grace time.Duration) error

	// Kill ends every process of the Instance (SIGKILL) and returns when the program has exited.
	// Kill of what does not run is no error.
	Kill(ctx context.Context) error

	// Delete kills what runs and frees everything but the log and the function folder, which are the
	// caller's. It is finished even if ctx ends meanwhile, and the log is complete then. Deleting twice is
	// no error.
	Delete(ctx context.Context) error

	// Target names the function as a gRPC target does: `unix:///path`, or `passthrough:///...` where it listens
	// on a port of its own network. Connections are made with Dial: a path can be led elsewhere by the function.
	Target() string

	// Dial connects to the function, and to nothing else. It fails at once when nothing listens there yet.
	Dial(ctx context.Context) (net.Conn, error)
}

// Identity says whose an Instance is. All of it is kept with the Instance and found again by List.
type Identity struct {
	ID       string `json:"id"`
	Tenant   string `json:"tenant"`
	Function string `json:"function"`
	Version  string `json:"version"`
	LeaseID  string `json:"lease_id,omitempty"` // empty where the function uses no device

	LogPath     string `json:"log_path"`
	FunctionDir string `json:"function_dir"`
}

// State of an Instance.
type State string

// The states of an Instance.
const (
	Created State = "created"
	Running State = "running"
	Stopped State = "stopped"
)

// ExitUnknown is the Code of a program whose end was noticed but not its status.
const ExitUnknown = -1

// Exit is how a program ended.
type Exit struct {
	Code        int  // the program's own, 128 + n where signal n ended it, or ExitUnknown
	OutOfMemory bool // the memory limit was hit and the kernel killed a process for it
	At          time.Time
}
