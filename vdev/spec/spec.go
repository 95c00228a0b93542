// Package spec describes the forwarded APIs as data. vdev/gen turns it into the
// shim's stubs, the codec of both sides, the worker's dispatcher and the
// coverage page.
//
// To forward one more call: give its row a Form and its Wire fields; run
// `make generate`. A Form that asks for hand-written code fails the build, by
// name, until that code exists.
//
// Another API is another value of API.
package spec

// Form says who answers a call and who writes the code.
type Form int

// Forms of a call. The zero value is not forwarded.
const (
	// Absent is answered by a generated stub with the API's own error.
	Absent Form = iota
	// Refused has a generated stub that checks its objects and then refuses as the
	// specification has it for a device without the feature, which no forwarded
	// device has.
	Refused
	// Local is answered in the shim by hand-written code; nothing travels.
	Local
	// Generated needs no hand-written code on either side.
	Generated
	// SpecialShim has a hand-written stub and a generated dispatcher.
	SpecialShim
	// SpecialWorker has a generated stub and a hand-written dispatcher.
	SpecialWorker
	// Special is written by hand on both sides; the codec is generated.
	Special
	// Query is an info query that needs no hand-written code: the fields and then
	// param_value_size, param_value and param_value_size_ret are the driver's.
	Query
	// SpecialQuery has a Query's stub and a hand-written dispatcher.
	SpecialQuery
	// Retain and Release count references in the shim; the last Release travels.
	Retain
	Release
)

// Wait says when the generated stub waits for the driver's status.
type Wait int

// Waits of a call.
const (
	// Never: the call is sent and the driver's refusal, if any, is reported by
	// the next call that waits.
	Never Wait = iota
	// Accepted: until the driver has accepted the call.
	Accepted
	// Finished: until the driver's call returns, which may take as long as a
	// kernel; other threads' calls go on meanwhile.
	Finished
)

// API is one forwarded API: what the generator and the code that is written by
// hand agree on, and no more.
type API struct {
	Version uint32 // of the API as its description has it, in the greeting
	Objects []ObjectName
	Calls   []Call
	Own     []Call // the messages of the shim's own

	// In C.
	Convention string // of the functions' calls
	Status     string // the type of a status
	Success    string
	Exhausted  string // the status where no frame can be sent: too long, or the session is lost
	NoMemory   string // the status where the shim cannot make an object
	NoSession  string // the status of a call without an object where the broker gives no session
	CountType  string // of a list's length, where calls take lists
	Address    string // the type of an address

	// Queue is the kind of object that keeps the refusals of commands nobody
	// waited for, where there is one.
	Queue Object
}

// All lists the API's calls and the shim's own messages.
func (a API) All() []Call {
	return append(append([]Call{}, a.Calls...), a.Own...)
}

// Object is a kind of driver object: an API's own constants, in the order of their
// wire numbers, from 1.
type Object int

// NoObject is no kind of object.
const NoObject Object = 0

// ObjectName describes a kind of object in C and in English.
type ObjectName struct {
	Object  Object
	Name    string // in identifiers
	Type    string // the C type
	Invalid string // the status for a bad one
	Release string // the driver's function
}

// Kind is how a field travels.
type Kind int

// Kinds of field.
const (
	Scalar      Kind = iota // 8 bytes
	Handle                  // an existing object; NULL is refused
	HandleOrNo              // an existing object or NULL
	Handles                 // a count and that many existing objects
	WaitList                // num_events_in_wait_list and event_wait_list
	Sizes                   // a count and that many size_t, or absent
	Bytes                   // a length and bytes
	New                     // the handle of an object that the call creates; a generated stub gives it to the parameter of that name
	NewList                 // a count and that many of them
	NewEvent                // the handle of the event of a command, or 0
	Ticket                  // the ticket of a transfer that nobody waits for, or 0
	Address                 // of device memory that the program may compute with, or 0; equal on both sides
	String                  // text and the 0 behind it
	Current                 // the calling thread's own object, which no parameter names
	Answer                  // a value that the driver returns; the program may give NULL for its place
	AnswerBytes             // likewise bytes, of which the length travels
	Parameters              // of a launch: the values that an array points to
)

// Field is one argument as it travels.
type Field struct {
	Kind   Kind
	Name   string // the C parameter, or a name of its own in Special calls
	Object Object // of handles
	// Count is the C expression of a list's or of bytes' length; of an Address, the
	// parameter that says how many elements from there on the call touches, all of
	// which must be the Lease's; of Parameters, the handle of the function, with
	// which both sides have learned how many they are and of what size.
	Count string
	Type  string // C type of a Scalar or an Answer; of an element at an Address, where that is no byte
}

// Check is a condition that the specification demands at the call. Fail is a C
// expression over the parameters; a handle parameter p is also at hand as the
// shim's object p_object.
type Check struct {
	Fail   string
	Status string
}

// Call is one function of the API, or one message of the shim's own.
type Call struct {
	Number  uint16 // on the wire, never used again for another call
	Name    string
	Version string // the API version that introduced it; "" for the shim's own
	Returns string
	Params  string // as the header spells them; "" where the header has none for us
	Form    Form
	Wait    Wait
	Wire    []Field
	Checks  []Check
	Absent  string // the status of an Absent or Refused call
	Object  Object // of Retain and Release
	Command string // the type of the event that the call can make
	// Idle is of a call that names a queue and puts no command into it.
	Idle bool
}
