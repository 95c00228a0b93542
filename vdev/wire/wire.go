// Package wire is the protocol between the shim and the broker's worker: the
// greeting, the layout of the shared segment, and the frames.
//
// # Greeting
//
// The shim connects to the daemon's stream socket and sends a Hello of
// HelloSize bytes. The daemon refuses it with a Refusal, or passes the
// connection to the worker of the Lease that the token names. The worker
// answers with a Welcome that carries two sealed memfds, the segment and the
// arena, and from then on the socket carries nothing: its end of file is the
// end of the Session for either side.
//
// # Segment
//
// The segment holds one page of shared words, SlotCount completion slots, the
// command ring and the staging window, at the offsets below. The worker sizes,
// seals and fills it before the shim may touch it.
//
// The command ring is a byte ring with one consumer. The shim writes frames at
// WordHead and the worker reads them at WordTail; both count bytes since the
// start. A frame never wraps: a frame with call number 0 fills the rest of the
// ring. Each frame is
//
//	u32 size      bytes with this header, a multiple of 8, at most FrameMax
//	u16 call      the call's number, vdev/spec
//	u16 slot      completion slot plus one; 0 where nobody waits
//	u64 argument  ... each argument in the description's order
//
// A scalar is 8 bytes, little-endian, sign-extended. A handle is a scalar, 0
// for NULL. A list is a count and its elements, and a count of ListAbsent
// stands for a NULL pointer. Bytes are a length, then the bytes padded to 8;
// over InlineMax they are an offset into the arena instead of the bytes.
//
// A completion slot is SlotSize bytes:
//
//	u32 state     SlotFree, SlotPending, SlotWaiting (a futex), SlotDone
//	i32 status    the API's status code
//	u32 length    bytes of payload
//	u32 reserved
//	payload
//
// A call that waits for its command's end has a payload, of one byte where
// there is nothing else to tell, if the driver accepted the command: then the
// handles that it names are taken, whatever the status.
//
// A ticket is one word of the segment that the worker sets to TicketDone when a
// transfer that the shim does not wait for has left or filled its place in the
// staging window or the arena, and to TicketFailed when it never will.
//
// A notice is two words: 1 once the event that it belongs to has reached the
// state that was asked for, and the event's status then.
//
// # Arena
//
// The arena holds the bytes of buffers and of transfers too large for the
// staging window, at offsets that the worker chooses. A shim that has mapped it
// where the Welcome says may have shared virtual memory in it: an address is a
// scalar, the same on both sides, and 0 for NULL.
//
// Where the device works on a buffer's bytes in place, the shim reads, writes
// and maps them itself whenever it knows that all commands of the queue in
// question are over: what it does then is what the queue's next command would
// have done. It sends no command into that queue meanwhile.
package wire

// Magic opens the greeting in both directions.
const Magic uint64 = 0x31454349554c53 // "SLUICE1"

// Offsets of the segment's shared words. Words that different sides write
// stand on cache lines of their own.
const (
	WordHead         = 0   // u64: bytes that the shim has written to the ring
	WordTail         = 128 // u64: bytes that the worker has consumed
	WordDoorbell     = 256 // u32, a futex: the shim adds one to wake a sleeping consumer
	WordAsleep       = 320 // u32: 1 while the consumer sleeps or is about to
	WordSpace        = 384 // u32, a futex: the worker adds one when it has made room
	WordSpaceWaiters = 388 // u32: 1 while the shim waits for room
	WordOutput       = 448 // u32: 1 when kernels have printed something that the shim has not asked for
	WordNotice       = 512 // u32, a futex: the driver's threads add one for each notice
	WordToDevice     = 576 // u64: bytes that the shim has written to buffers itself
	WordFromDevice   = 584 // u64: bytes that it has read from them
	WordsSize        = 4096
)

// Parts of the segment, in bytes.
const (
	SlotCount    = 64
	SlotSize     = 8192
	SlotPayload  = SlotSize - 16
	SlotsOffset  = WordsSize
	TicketCount  = 1024
	TicketOffset = SlotsOffset + SlotCount*SlotSize

	NoticeCount  = 512
	NoticeOffset = TicketOffset + TicketCount*4

	RingSize   = 1 << 20
	RingOffset = NoticeOffset + NoticeCount*8

	StagingSize   = 4 << 20
	StagingOffset = RingOffset + RingSize

	SegmentSize = StagingOffset + StagingSize
)

// States of a completion slot.
const (
	SlotFree    = 0
	SlotPending = 1
	SlotWaiting = 2
	SlotDone    = 3
)

// States of a ticket. The shim clears it before it hands it out.
const (
	TicketDone   = 1
	TicketFailed = 2
)

// Limits of frames and Sessions; what exceeds one ends the Session.
const (
	FrameHeader = 8
	FrameMax    = 64 << 10
	InlineMax   = 16 << 10
	ListMax     = 4096
	ListAbsent  = ^uint64(0)
	HandleMax   = 1 << 20
	BytesMax    = 1 << 30
	// PlatformHandle and, for each device, DeviceHandle and those after it name what
	// exists from the start.
	PlatformHandle = 1
	DeviceHandle   = 2
	DevicesMax     = 8
	FirstHandle    = 16
)

// Kinds of the entries that travel with a build: u32 kind, u32 length of the path,
// u64 length of the text, the path, the text. A folder's text is how the program
// spells it.
const (
	IncludedFolder = 0
	IncludedFile   = 1
)

// Limits of the files that a program includes.
const (
	IncludedMax      = 1024
	IncludedBytesMax = 16 << 20
	IncludedPathMax  = 4096
	IncludedDepthMax = 64
	// IncludedFoldersMax bounds the folders on the way to a file.
	IncludedFoldersMax = 256
)

// Places of a transfer's bytes.
const (
	PlaceStaging = 0
	PlaceArena   = 1
	// PlaceObject is in the arena, too, where the bytes of a memory object lie: the
	// program has a pointer to them.
	PlaceObject = 2
)

// TimeCount is how many times profiling tells of a command, from
// CL_PROFILING_COMMAND_QUEUED to CL_PROFILING_COMMAND_COMPLETE. The answer to a
// query of one is: u64 what was asked for, u64 a bit for each that is final, u64
// each.
const TimeCount = 5

// Forms of a kernel argument.
const (
	ArgumentValue   = 0
	ArgumentBuffer  = 1
	ArgumentLocal   = 2
	ArgumentSampler = 3
)
