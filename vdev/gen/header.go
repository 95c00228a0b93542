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
		{"FIRST_HANDLE", wire.FirstHandle},
		{"PLACE_STAGING", wire.PlaceStaging},
		{"PLACE_ARENA", wire.PlaceArena},
		{"ARGUMENT_VALUE", wire.ArgumentValue},
		{"ARGUMENT_BUFFER", wire.ArgumentBuffer},
		{"ARGUMENT_LOCAL", wire.ArgumentLocal},
		{"ARGUMENT_SAMPLER", wire.ArgumentSampler},
		{"HELLO_SIZE", wire.HelloSize},
		{"WELCOME_SIZE", wire.WelcomeSize},
		{"TOKEN_MAX", wire.TokenMax},
		{"REFUSAL_MAX", wire.RefusalMax},
	}
}

func wireHeader() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "/* %s */\n#ifndef SL_WIRE_H\n#define SL_WIRE_H\n\n", notice)
	fmt.Fprintf(&b, "#define SL_PROTOCOL_HASH %#xULL\n#define SL_API_VERSION %dU\n\n", protocolHash(), wire.APIVersion)
	for _, c := range wireConstants() {
		fmt.Fprintf(&b, "#define SL_%s %dULL\n", c.name, c.value)
	}
	b.WriteString("\nenum sl_kind {\n\tSL_NO_OBJECT,\n")
	for _, o := range spec.Objects {
		fmt.Fprintf(&b, "\tSL_%s = %d,\n", strings.ToUpper(o.Name), o.Object)
	}
	b.WriteString("};\n\nenum sl_call {\n")
	for _, c := range messages() {
		fmt.Fprintf(&b, "\tSL_CALL_%s = %d,\n", c.Name, c.Number)
	}
	b.WriteString("};\n\n#endif\n")
	return b.Bytes()
}

// callsHeader declares every stub, so that a hand-written one that is missing
// fails the link by its name.
func callsHeader() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "/* %s */\n#ifndef SL_CALLS_H\n#define SL_CALLS_H\n\n#include \"shim.h\"\n\n", notice)
	for _, c := range spec.OpenCL {
		if c.Version == "" {
			continue
		}
		fmt.Fprintf(&b, "%s;\n", prototype(c))
	}
	b.WriteString("\n#endif\n")
	return b.Bytes()
}

func prototype(c spec.Call) string {
	return fmt.Sprintf("%s CL_API_CALL sl_%s(%s)", c.Returns, c.Name, c.Params)
}

// dispatchTable fills the loader's table; the types come from the header, so a
// stub of the wrong type does not compile.
func dispatchTable() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "/* %s */\n#include \"calls.h\"\n\n", notice)
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
const struct _cl_icd_dispatch sl_dispatch = {
`)
	for _, c := range spec.OpenCL {
		switch {
		case c.Version != "":
			fmt.Fprintf(&b, "\t.%s = sl_%s,\n", c.Name, c.Name)
		case c.Returns == "cl_int":
			fmt.Fprintf(&b, "\t.%s = (void *)absent_status,\n", c.Name)
		default:
			fmt.Fprintf(&b, "\t.%s = (void *)absent_pointer,\n", c.Name)
		}
	}
	b.WriteString("};\n\nconst struct sl_function sl_functions[] = {\n")
	for _, c := range spec.OpenCL {
		if c.Version != "" {
			fmt.Fprintf(&b, "\t{\"%s\", (void *)sl_%s},\n", c.Name, c.Name)
		}
	}
	b.WriteString("\t{NULL, NULL},\n};\n")
	return b.Bytes()
}
