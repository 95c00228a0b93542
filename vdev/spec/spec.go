// Package spec describes the forwarded API as data. vdev/gen turns it into the
// shim's stubs, the codec of both sides, the worker's dispatcher and the
// coverage page.
//
// To forward one more call: give its row a Form and its Wire fields; run
// `make generate`. A Form that asks for hand-written code fails the build, by
// name, until that code exists.
package spec

// Form says who answers a call and who writes the code.
type Form int

// Forms of a call. The zero value is not forwarded.
const (
	// Absent is answered by a generated stub with the API's own error.
	Absent Form = iota
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

// Object is a kind of driver object.
type Object int

// Kinds of object, in the order of their wire numbers.
const (
	NoObject Object = iota
	Platform
	Device
	Context
	Queue
	Mem
	Sampler
	Program
	Kernel
	Event
)

// ObjectName describes a kind of object in C and in English.
type ObjectName struct {
	Object  Object
	Name    string // in identifiers
	Type    string // the C type
	Invalid string // the status for a bad one
	Release string // the driver's function
}

// Objects lists every kind of object.
var Objects = []ObjectName{
	{Platform, "platform", "cl_platform_id", "CL_INVALID_PLATFORM", ""},
	{Device, "device", "cl_device_id", "CL_INVALID_DEVICE", ""},
	{Context, "context", "cl_context", "CL_INVALID_CONTEXT", "clReleaseContext"},
	{Queue, "queue", "cl_command_queue", "CL_INVALID_COMMAND_QUEUE", "clReleaseCommandQueue"},
	{Mem, "mem", "cl_mem", "CL_INVALID_MEM_OBJECT", "clReleaseMemObject"},
	{Sampler, "sampler", "cl_sampler", "CL_INVALID_SAMPLER", "clReleaseSampler"},
	{Program, "program", "cl_program", "CL_INVALID_PROGRAM", "clReleaseProgram"},
	{Kernel, "kernel", "cl_kernel", "CL_INVALID_KERNEL", "clReleaseKernel"},
	{Event, "event", "cl_event", "CL_INVALID_EVENT", "clReleaseEvent"},
}

// Kind is how a field travels.
type Kind int

// Kinds of field.
const (
	Scalar     Kind = iota // 8 bytes
	Handle                 // an existing object; NULL is refused
	HandleOrNo             // an existing object or NULL
	Handles                // a count and that many existing objects
	WaitList               // num_events_in_wait_list and event_wait_list
	Sizes                  // a count and that many size_t, or absent
	Bytes                  // a length and bytes
	New                    // the handle of an object that the call creates
	NewEvent               // the handle of the event of a command, or 0
	Ticket                 // the ticket of a transfer that nobody waits for, or 0
)

// Field is one argument as it travels.
type Field struct {
	Kind   Kind
	Name   string // the C parameter, or a name of its own in Special calls
	Object Object // of handles
	Count  string // C expression of a list's or of bytes' length
	Type   string // C type of a Scalar in the driver's call; of an element of Bytes
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
	Absent  string // the status of an Absent call
	Object  Object // of Retain and Release
	Command string // the type of the event that the call can make
}
