package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"sluice/vdev/spec"
)

// messagesHeader is the C side of the codec: one inline function a message.
func messagesHeader() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "/* %s */\n#ifndef SL_MESSAGES_H\n#define SL_MESSAGES_H\n\n#include \"shim.h\"\n", notice)
	for _, c := range messages() {
		writeEncoder(&b, c)
	}
	b.WriteString("\n#endif\n")
	return b.Bytes()
}

// encoderParams lists the parameters of a message's encoder and the names that
// a stub passes for them.
func encoderParams(c spec.Call) (declared, passed []string) {
	for _, f := range c.Wire {
		switch f.Kind {
		case spec.Scalar, spec.Ticket:
			declared = append(declared, "uint64_t "+f.Name)
			passed = append(passed, "(uint64_t)"+f.Name)
		case spec.Handle, spec.HandleOrNo:
			declared = append(declared, "const sl_object *"+f.Name)
			passed = append(passed, f.Name+"_object")
		case spec.Handles, spec.WaitList:
			typ := object(f.Object).Type
			declared = append(declared, "cl_uint "+f.Count, "const "+typ+" *"+f.Name)
			passed = append(passed, f.Count, f.Name)
		case spec.Sizes:
			declared = append(declared, "cl_uint "+f.Name+"_count", "const size_t *"+f.Name)
			passed = append(passed, f.Count, f.Name)
		case spec.Bytes:
			declared = append(declared, "size_t "+lengthName(f), "const void *"+f.Name)
			passed = append(passed, f.Count, f.Name)
		case spec.New, spec.NewEvent:
			declared = append(declared, "const sl_object *"+f.Name)
			passed = append(passed, f.Name+"_object")
		}
	}
	return declared, passed
}

// lengthName is the encoder's parameter for a length that may be a constant.
func lengthName(f spec.Field) string {
	if _, err := strconv.Atoi(f.Count); err == nil {
		return f.Name + "_length"
	}
	return f.Count
}

// sizeTerms is the C expression that bounds a message's frame.
func sizeTerms(c spec.Call) string {
	terms := []string{"SL_FRAME_HEADER"}
	for _, f := range c.Wire {
		switch f.Kind {
		case spec.Handles, spec.WaitList:
			terms = append(terms, fmt.Sprintf("8 + 8 * (size_t)%s", f.Count))
		case spec.Sizes:
			terms = append(terms, fmt.Sprintf("8 + 8 * (size_t)%s_count", f.Name))
		case spec.Bytes:
			terms = append(terms, fmt.Sprintf("sl_bytes_size(%s)", lengthName(f)))
		default:
			terms = append(terms, "8")
		}
	}
	return strings.Join(terms, " + ")
}

func writeEncoder(b *bytes.Buffer, c spec.Call) {
	declared, _ := encoderParams(c)
	all := append([]string{"struct sl_session *session", "struct sl_slot *slot"}, declared...)
	fmt.Fprintf(b, "\nstatic inline cl_int sl_send_%s(%s)\n{\n", c.Name, strings.Join(all, ", "))
	for _, f := range c.Wire {
		switch f.Kind {
		case spec.Handles, spec.WaitList:
			fmt.Fprintf(b, "\tif (%s > SL_LIST_MAX)\n\t\treturn CL_OUT_OF_RESOURCES;\n", f.Count)
		case spec.Bytes:
			fmt.Fprintf(b, "\tuint64_t %s_offset = 0;\n\tif (%s > SL_INLINE_MAX) {\n\t\tcl_int placed = sl_place(session, %s, %s, &%s_offset);\n\t\tif (placed != CL_SUCCESS)\n\t\t\treturn placed;\n\t}\n", f.Name, lengthName(f), lengthName(f), f.Name, f.Name)
		}
	}
	fmt.Fprintf(b, "\tuint8_t *frame = sl_begin(session, %s);\n\tif (!frame)\n\t\treturn CL_OUT_OF_RESOURCES;\n\tuint8_t *p = frame + SL_FRAME_HEADER;\n", sizeTerms(c))
	for _, f := range c.Wire {
		switch f.Kind {
		case spec.Scalar, spec.Ticket:
			fmt.Fprintf(b, "\tp = sl_put(p, %s);\n", f.Name)
		case spec.Handle, spec.HandleOrNo, spec.New, spec.NewEvent:
			fmt.Fprintf(b, "\tp = sl_put(p, %s ? %s->handle : 0);\n", f.Name, f.Name)
		case spec.Handles, spec.WaitList:
			fmt.Fprintf(b, "\tp = sl_put_handles(p, %s, (void *const *)%s);\n", f.Count, f.Name)
		case spec.Sizes:
			fmt.Fprintf(b, "\tp = sl_put_sizes(p, %s_count, %s);\n", f.Name, f.Name)
		case spec.Bytes:
			fmt.Fprintf(b, "\tp = sl_put_bytes(p, %s, %s, %s_offset);\n", lengthName(f), f.Name, f.Name)
		}
	}
	fmt.Fprintf(b, "\tsl_end(session, frame, p, SL_CALL_%s, slot);\n\treturn CL_SUCCESS;\n}\n", c.Name)
}

// stubs is every function of the API whose shim side is not written by hand.
func stubs() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "/* %s */\n#include \"calls.h\"\n#include \"messages.h\"\n", notice)
	for _, c := range spec.OpenCL {
		if c.Version == "" {
			continue
		}
		switch c.Form {
		case spec.Absent:
			writeAbsent(&b, c)
		case spec.Retain, spec.Release:
			writeCount(&b, c)
		case spec.Generated, spec.Query, spec.SpecialQuery, spec.SpecialWorker:
			writeStub(&b, c)
		}
	}
	return b.Bytes()
}

func writeAbsent(b *bytes.Buffer, c spec.Call) {
	fmt.Fprintf(b, "\n%s\n{\n", prototype(c))
	for _, p := range params(c) {
		if p.name != "errcode_ret" {
			fmt.Fprintf(b, "\t(void)%s;\n", p.name)
		}
	}
	switch {
	case c.Returns == "cl_int":
		fmt.Fprintf(b, "\treturn %s;\n}\n", c.Absent)
	case hasParam(c, "errcode_ret"):
		fmt.Fprintf(b, "\tif (errcode_ret)\n\t\t*errcode_ret = %s;\n\treturn NULL;\n}\n", c.Absent)
	default:
		b.WriteString("\treturn NULL;\n}\n")
	}
}

func writeCount(b *bytes.Buffer, c spec.Call) {
	o := object(c.Object)
	verb := "retain"
	if c.Form == spec.Release {
		verb = "release"
	}
	fmt.Fprintf(b, "\n%s\n{\n\tsl_object *found = sl_find(%s, SL_%s);\n\tif (!found)\n\t\treturn %s;\n\tsl_%s(found);\n\treturn CL_SUCCESS;\n}\n",
		prototype(c), params(c)[0].name, strings.ToUpper(o.Name), o.Invalid, verb)
}

func writeStub(b *bytes.Buffer, c spec.Call) {
	fmt.Fprintf(b, "\n%s\n{\n", prototype(c))
	first := ""
	for _, f := range c.Wire {
		if f.Kind != spec.Handle && f.Kind != spec.HandleOrNo {
			continue
		}
		o, given := object(f.Object), ""
		if f.Kind == spec.HandleOrNo {
			given = f.Name + " && "
		}
		fmt.Fprintf(b, "\tsl_object *%s_object = sl_find(%s, SL_%s);\n\tif (%s!%s_object)\n\t\treturn %s;\n", f.Name, f.Name, strings.ToUpper(o.Name), given, f.Name, o.Invalid)
		if first == "" {
			first = f.Name + "_object"
		}
	}
	for _, k := range c.Checks {
		fmt.Fprintf(b, "\tif (%s)\n\t\treturn %s;\n", k.Fail, k.Status)
	}
	b.WriteString("\tcl_int status;\n")
	for _, f := range c.Wire {
		switch f.Kind {
		case spec.Handles:
			o := object(f.Object)
			fmt.Fprintf(b, "\tif ((status = sl_check_list(SL_%s, %s, (void *const *)%s, %s)) != CL_SUCCESS)\n\t\treturn status;\n", strings.ToUpper(o.Name), f.Count, f.Name, o.Invalid)
			if first == "" {
				first = fmt.Sprintf("sl_find(%s[0], SL_%s)", f.Name, strings.ToUpper(o.Name))
			}
		case spec.WaitList:
			fmt.Fprintf(b, "\tif ((status = sl_check_wait_list(%s, %s, %s)) != CL_SUCCESS)\n\t\treturn status;\n", first, f.Count, f.Name)
		}
	}
	hasEvent := hasParam(c, "event") && c.Command != ""
	if hasEvent {
		fmt.Fprintf(b, "\tsl_object *event_object = NULL;\n\tif (event && !(event_object = sl_event_new(%s, %s)))\n\t\treturn CL_OUT_OF_HOST_MEMORY;\n", first, c.Command)
	}
	writeSend(b, c, first)
	if hasEvent {
		b.WriteString("\tif (!event_object)\n\t\treturn status;\n\tif (status != CL_SUCCESS)\n\t\tsl_discard(event_object);\n\telse\n\t\t*event = (cl_event)event_object;\n")
	}
	b.WriteString("\treturn status;\n}\n")
}

func writeSend(b *bytes.Buffer, c spec.Call, first string) {
	_, passed := encoderParams(c)
	arguments := strings.Join(passed, ", ")
	fmt.Fprintf(b, "\tstruct sl_session *session = %s->session;\n", first)
	if c.Form == spec.Query || c.Form == spec.SpecialQuery {
		fmt.Fprintf(b, "\tstruct sl_slot *slot = sl_slot_take(session);\n\tstatus = sl_send_%s(session, slot, %s);\n\tstatus = sl_info_reply(session, slot, status, param_value_size, param_value, param_value_size_ret);\n", c.Name, arguments)
		return
	}
	if c.Wait == spec.Never {
		fmt.Fprintf(b, "\tstatus = sl_send_%s(session, NULL, %s);\n", c.Name, arguments)
		return
	}
	fmt.Fprintf(b, "\tstruct sl_slot *slot = sl_slot_take(session);\n\tstatus = sl_send_%s(session, slot, %s);\n\tstatus = sl_finish(session, slot, status);\n", c.Name, arguments)
}
