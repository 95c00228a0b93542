package main

import (
	"bytes"
	"fmt"
	"strings"

	"sluice/vdev/spec"
	"sluice/vdev/wire"
)

type constant struct {
	name  string
	value uint64
}

// wireConstants is what the C side needs of vdev/wire.
func wireConstants() []constant {
	return []constant{
		{"MAGIC", wire.Magic},
		{"WORD_HEAD", wire.WordHead},
		{"WORD_TAIL", wire.WordTail},
		{"WORD_DOORBELL", wire.WordDoorbell},
		{"WORD_ASLEEP", wire.WordAsleep},
		{"WORD_OUTPUT", wire.WordOutput},
		{"WORD_NOTICE", wire.WordNotice},
		{"WORD_TO_DEVICE", wire.WordToDevice},
		{"WORD_FROM_DEVICE", wire.WordFromDevice},
		{"WORD_SPACE", wire.WordSpace},
		{"WORD_SPACE_WAITERS", wire.WordSpaceWaiters},
		{"SLOT_COUNT", wire.SlotCount},
		{"SLOT_SIZE", wire.SlotSize},
		{"SLOT_PAYLOAD", wire.SlotPayload},
		{"SLOTS_OFFSET", wire.SlotsOffset},
		{"TICKET_COUNT", wire.TicketCount},
		{"TICKET_OFFSET", wire.TicketOffset},
		{"NOTICE_COUNT", wire.NoticeCount},
		{"NOTICE_OFFSET", wire.NoticeOffset},
		{"RING_SIZE", wire.RingSize},
		{"RING_OFFSET", wire.RingOffset},
		{"STAGING_SIZE", wire.StagingSize},
		{"STAGING_OFFSET", wire.StagingOffset},
		{"SEGMENT_SIZE", wire.SegmentSize},
		{"SLOT_FREE", wire.SlotFree},
		{"SLOT_PENDING", wire.SlotPending},
		{"SLOT_WAITING", wire.SlotWaiting},
		{"SLOT_DONE", wire.SlotDone},
		{"TICKET_DONE", wire.TicketDone},
		{"TICKET_FAILED", wire.TicketFailed},
		{"FRAME_HEADER", wire.FrameHeader},
		{"FRAME_MAX", wire.FrameMax},
		{"INLINE_MAX", wire.InlineMax},
		{"LIST_MAX", wire.ListMax},
		{"LIST_ABSENT", wire.ListAbsent},
		{"HANDLE_MAX", wire.HandleMax},
		{"BYTES_MAX", wire.BytesMax},
		{"PLATFORM_HANDLE", wire.PlatformHandle},
		{"DEVICE_HANDLE", wire.DeviceHandle},
		{"DEVICES_MAX", wire.DevicesMax},
		{"FIRST_HANDLE", wire.FirstHandle},
		{"TIME_COUNT", wire.TimeCount},
		{"PLACE_STAGING", wire.PlaceStaging},
		{"PLACE_ARENA", wire.PlaceArena},
		{"PLACE_OBJECT", wire.PlaceObject},
		{"ARGUMENT_VALUE", wire.ArgumentValue},
		{"ARGUMENT_BUFFER", wire.ArgumentBuffer},
		{"ARGUMENT_LOCAL", wire.ArgumentLocal},
		{"ARGUMENT_SAMPLER", wire.ArgumentSampler},
		{"INCLUDED_FOLDER", wire.IncludedFolder},
		{"INCLUDED_FILE", wire.IncludedFile},
		{"INCLUDED_MAX", wire.IncludedMax},
		{"INCLUDED_BYTES_MAX", wire.IncludedBytesMax},
		{"INCLUDED_DEPTH_MAX", wire.IncludedDepthMax},
		{"HELLO_SIZE", wire.HelloSize},
		{"WELCOME_SIZE", wire.WelcomeSize},
		{"TOKEN_MAX", wire.TokenMax},
		{"REFUSAL_MAX", wire.RefusalMax},
	}
}

func (g generator) wireHeader() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "/* %s */\n#ifndef SL_WIRE_H\n#define SL_WIRE_H\n\n", notice)
	fmt.Fprintf(&b, "#define SL_PROTOCOL_HASH %#xULL\n#define SL_API_VERSION %dU\n\n", g.protocolHash(), g.Version)
	for _, c := range wireConstants() {
		fmt.Fprintf(&b, "#define SL_%s %dULL\n", c.name, c.value)
	}
	b.WriteString("\nenum sl_kind {\n\tSL_NO_OBJECT,\n")
	for _, o := range g.Objects {
		fmt.Fprintf(&b, "\tSL_%s = %d,\n", strings.ToUpper(o.Name), o.Object)
	}
	b.WriteString("};\n\nenum sl_call {\n")
	for _, c := range g.messages() {
		fmt.Fprintf(&b, "\tSL_CALL_%s = %d,\n", c.Name, c.Number)
	}
	b.WriteString("};\n\n#endif\n")
	return b.Bytes()
}

// callsHeader declares every stub, so that a hand-written one that is missing
// fails the link by its name.
func (g generator) callsHeader() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "/* %s */\n#ifndef SL_CALLS_H\n#define SL_CALLS_H\n\n#include \"shim.h\"\n\n", notice)
	for _, c := range g.Calls {
		if c.Version == "" {
			continue
		}
		fmt.Fprintf(&b, "%s;\n", g.prototype(c))
	}
	b.WriteString("\n#endif\n")
	return b.Bytes()
}

func (g generator) prototype(c spec.Call) string {
	return fmt.Sprintf("%s %s sl_%s(%s)", c.Returns, g.Convention, c.Name, c.Params)
}

// dispatchTables fills the OpenCL loader's table, and the one of a program whose
// calls are traced; the types come from the header, so a stub of the wrong type
// does not compile.
func dispatchTables() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "/* %s */\n#include \"calls.h\"\n#include \"trace.h\"\n\n", notice)
	for _, c := range spec.OpenCL.Calls {
		if c.Version != "" {
			writeTraced(&b, c)
		}
	}
	b.WriteString(`/* Extension entries are never advertised; these answer a program that calls one all the same. */
static cl_int CL_API_CALL absent_status(void)
{
	return CL_INVALID_OPERATION;
}

static void *CL_API_CALL absent_pointer(void)
{
	return NULL;
}

#pragma GCC diagnostic ignored "-Wcast-function-type"
#pragma GCC diagnostic ignored "-Wpedantic"
`)
	writeTable(&b, "sl_dispatch", "sl_")
	b.WriteString("\n")
	writeTable(&b, "sl_dispatch_traced", "traced_")
	b.WriteString("\nconst struct sl_function sl_functions[] = {\n")
	for _, c := range spec.OpenCL.Calls {
		if c.Version != "" {
			fmt.Fprintf(&b, "\t{\"%s\", offsetof(struct _cl_icd_dispatch, %s)},\n", c.Name, c.Name)
		}
	}
	b.WriteString("\t{NULL, 0},\n};\n")
	return b.Bytes()
}

// writeTable writes a dispatch table of the functions whose names are the
// calls' behind a prefix.
func writeTable(b *bytes.Buffer, name, prefix string) {
	fmt.Fprintf(b, "const struct _cl_icd_dispatch %s = {\n", name)
	for _, c := range spec.OpenCL.Calls {
		switch {
		case c.Version != "":
			fmt.Fprintf(b, "\t.%s = %s%s,\n", c.Name, prefix, c.Name)
		case c.Returns == "cl_int":
			fmt.Fprintf(b, "\t.%s = (void *)absent_status,\n", c.Name)
		default:
			fmt.Fprintf(b, "\t.%s = (void *)absent_pointer,\n", c.Name)
		}
	}
	b.WriteString("};\n")
}
