package main

import (
	"bytes"
	"fmt"
	"go/token"
	"log"
	"strings"

	"sluice/vdev/spec"
)

// messagesHeader is the C side of the codec: one inline function a message.
func (g generator) messagesHeader() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "/* %s */\n#ifndef SL_MESSAGES_H\n#define SL_MESSAGES_H\n\n#include \"shim.h\"\n", notice)
	for _, c := range g.messages() {
		g.writeEncoder(&b, c)
	}
	b.WriteString("\n#endif\n")
	return b.Bytes()
}

// encoderParams lists the parameters of a message's encoder and the names that
// a stub passes for them.
func (g generator) encoderParams(c spec.Call) (declared, passed []string) {
	for _, f := range c.Wire {
		switch f.Kind {
		case spec.Scalar, spec.Ticket:
			declared = append(declared, "uint64_t "+f.Name)
			passed = append(passed, "(uint64_t)"+f.Name)
		case spec.Address:
			declared = append(declared, strings.Replace(g.Address+" "+f.Name, "* ", "*", 1))
			passed = append(passed, f.Name)
		case spec.Handle, spec.HandleOrNo, spec.Current:
			qualifier := "const "
			if f.Name == g.fedQueue(c) {
				qualifier = ""
			}
			declared = append(declared, qualifier+"sl_object *"+f.Name)
			passed = append(passed, f.Name+"_object")
		case spec.Handles, spec.WaitList:
			typ := g.object(f.Object).Type
			declared = append(declared, g.CountType+" "+f.Count, "const "+typ+" *"+f.Name)
			passed = append(passed, f.Count, f.Name)
		case spec.NewList:
			declared = append(declared, g.CountType+" "+f.Count, "sl_object *const *"+f.Name)
			passed = append(passed, f.Count, f.Name)
		case spec.Sizes:
			declared = append(declared, g.CountType+" "+f.Name+"_count", "const size_t *"+f.Name)
			passed = append(passed, f.Count, f.Name)
		case spec.Bytes, spec.String:
			declared = append(declared, "size_t "+lengthName(f), "const void *"+f.Name)
			passed = append(passed, f.Count, f.Name)
		case spec.AnswerBytes:
			declared = append(declared, "uint64_t "+lengthName(f))
			passed = append(passed, "(uint64_t)"+f.Count)
		case spec.Parameters:
			declared = append(declared, "void *const *"+f.Name)
			passed = append(passed, f.Name)
		case spec.New, spec.NewEvent:
			declared = append(declared, "const sl_object *"+f.Name)
			passed = append(passed, f.Name+"_object")
		}
	}
	return declared, passed
}

// lengthName is the encoder's parameter for a length that may be an expression.
func lengthName(f spec.Field) string {
	if !token.IsIdentifier(f.Count) {
		return f.Name + "_length"
	}
	return f.Count
}

// sizeTerms is the C expression that bounds a message's frame.
func sizeTerms(c spec.Call) string {
	terms := []string{"SL_FRAME_HEADER"}
	for _, f := range c.Wire {
		switch f.Kind {
		case spec.Handles, spec.WaitList, spec.NewList:
			terms = append(terms, fmt.Sprintf("8 + 8 * (size_t)%s", f.Count))
		case spec.Sizes:
			terms = append(terms, fmt.Sprintf("8 + 8 * (size_t)%s_count", f.Name))
		case spec.Bytes, spec.String:
			terms = append(terms, fmt.Sprintf("sl_bytes_size(%s)", lengthName(f)))
		case spec.Parameters:
			terms = append(terms, fmt.Sprintf("sl_parameters_size(%s)", f.Count))
		case spec.Answer:
		default:
			terms = append(terms, "8")
		}
	}
	return strings.Join(terms, " + ")
}

// fedQueue is the parameter of the queue that a message puts a command into.
func (g generator) fedQueue(c spec.Call) string {
	for _, f := range c.Wire {
		if f.Kind == spec.Handle && f.Object == g.Queue && !c.Idle {
			return f.Name
		}
	}
	return "NULL"
}

func (g generator) writeEncoder(b *bytes.Buffer, c spec.Call) {
	declared, _ := g.encoderParams(c)
	all := append([]string{"struct sl_session *session", "struct sl_slot *slot"}, declared...)
	fmt.Fprintf(b, "\nstatic inline %s sl_send_%s(%s)\n{\n", g.Status, c.Name, strings.Join(all, ", "))
	for _, f := range c.Wire {
		switch f.Kind {
		case spec.Handles, spec.WaitList, spec.NewList:
			fmt.Fprintf(b, "\tif (%s > SL_LIST_MAX)\n\t\treturn %s;\n", f.Count, g.Exhausted)
		case spec.Bytes, spec.String:
			fmt.Fprintf(b, "\tuint64_t %[1]s_offset = 0;\n\tif (%[2]s > SL_INLINE_MAX) {\n\t\t%[3]s placed = sl_place(session, %[2]s, %[1]s, &%[1]s_offset);\n\t\tif (placed != %[4]s)\n\t\t\treturn placed;\n\t}\n", f.Name, lengthName(f), g.Status, g.Success)
		}
	}
	fmt.Fprintf(b, "\tuint8_t *frame = sl_begin(session, %s, %s);\n\tif (!frame)\n\t\treturn %s;\n\tuint8_t *p = frame + SL_FRAME_HEADER;\n", sizeTerms(c), g.fedQueue(c), g.Exhausted)
	for _, f := range c.Wire {
		switch f.Kind {
		case spec.Scalar, spec.Ticket:
			fmt.Fprintf(b, "\tp = sl_put(p, %s);\n", f.Name)
		case spec.Address:
			fmt.Fprintf(b, "\tp = sl_put(p, (uintptr_t)%s);\n", f.Name)
		case spec.Handle, spec.HandleOrNo, spec.Current, spec.New, spec.NewEvent:
			fmt.Fprintf(b, "\tp = sl_put(p, %s ? %s->handle : 0);\n", f.Name, f.Name)
		case spec.Handles, spec.WaitList, spec.NewList:
			fmt.Fprintf(b, "\tp = sl_put_handles(p, %s, (void *const *)%s);\n", f.Count, f.Name)
		case spec.Sizes:
			fmt.Fprintf(b, "\tp = sl_put_sizes(p, %s_count, %s);\n", f.Name, f.Name)
		case spec.Bytes, spec.String:
			fmt.Fprintf(b, "\tp = sl_put_bytes(p, %s, %s, %s_offset);\n", lengthName(f), f.Name, f.Name)
		case spec.AnswerBytes:
			fmt.Fprintf(b, "\tp = sl_put(p, %s);\n", lengthName(f))
		case spec.Parameters:
			fmt.Fprintf(b, "\tp = sl_put_parameters(p, %s, %s);\n", f.Count, f.Name)
		}
	}
	fmt.Fprintf(b, "\tsl_end(session, frame, p, SL_CALL_%s, slot);\n\treturn %s;\n}\n", c.Name, g.Success)
}

// stubs is every function of the API whose shim side is not written by hand.
func (g generator) stubs() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "/* %s */\n#include \"calls.h\"\n#include \"messages.h\"\n", notice)
	for _, c := range g.Calls {
		if c.Version == "" {
			continue
		}
		switch c.Form {
		case spec.Absent, spec.Refused:
			g.writeRefused(&b, c)
		case spec.Retain, spec.Release:
			g.writeCount(&b, c)
		case spec.Generated, spec.Query, spec.SpecialQuery, spec.SpecialWorker:
			g.writeStub(&b, c)
		}
	}
	return b.Bytes()
}

// writeRefused writes the stub of a call that nobody carries out: the objects
// of a Refused one are checked first.
func (g generator) writeRefused(b *bytes.Buffer, c spec.Call) {
	fmt.Fprintf(b, "\n%s\n{\n", g.prototype(c))
	checked := map[string]bool{"errcode_ret": true}
	for _, f := range c.Wire {
		checked[f.Name] = true
	}
	for _, p := range params(c) {
		if !checked[p.name] {
			fmt.Fprintf(b, "\t(void)%s;\n", p.name)
		}
	}
	refuse := func(status string) string {
		switch {
		case c.Returns == g.Status:
			return "return " + status + ";"
		case hasParam(c, "errcode_ret"):
			return "return sl_fail(errcode_ret, " + status + ");"
		}
		return "return NULL;"
	}
	for _, f := range c.Wire {
		o := g.object(f.Object)
		fmt.Fprintf(b, "\tif (!sl_find(%s, SL_%s))\n\t\t%s\n", f.Name, strings.ToUpper(o.Name), refuse(o.Invalid))
	}
	fmt.Fprintf(b, "\t%s\n}\n", refuse(c.Absent))
}

func (g generator) writeCount(b *bytes.Buffer, c spec.Call) {
	o := g.object(c.Object)
	verb := "retain"
	if c.Form == spec.Release {
		verb = "release"
	}
	fmt.Fprintf(b, "\n%s\n{\n\tsl_object *found = sl_find(%s, SL_%s);\n\tif (!found)\n\t\treturn %s;\n\tsl_%s(found);\n\treturn %s;\n}\n",
		g.prototype(c), params(c)[0].name, strings.ToUpper(o.Name), o.Invalid, verb, g.Success)
}

func (g generator) writeStub(b *bytes.Buffer, c spec.Call) {
	fmt.Fprintf(b, "\n%s\n{\n", g.prototype(c))
	first := g.writeLookups(b, c)
	for _, k := range c.Checks {
		fmt.Fprintf(b, "\tif (%s)\n\t\treturn %s;\n", k.Fail, k.Status)
	}
	fmt.Fprintf(b, "\t%s status;\n", g.Status)
	for _, f := range c.Wire {
		switch f.Kind {
		case spec.Handles:
			o := g.object(f.Object)
			fmt.Fprintf(b, "\tif ((status = sl_check_list(SL_%s, %s, (void *const *)%s, %s)) != %s)\n\t\treturn status;\n", strings.ToUpper(o.Name), f.Count, f.Name, o.Invalid, g.Success)
			if first == "" {
				first = fmt.Sprintf("sl_find(%s[0], SL_%s)", f.Name, strings.ToUpper(o.Name))
			}
		case spec.WaitList:
			fmt.Fprintf(b, "\tif ((status = sl_check_wait_list(%s, %s, %s)) != %s)\n\t\treturn status;\n", first, f.Count, f.Name, g.Success)
		}
	}
	made := g.writeMade(b, c, first)
	g.writeSend(b, c, first)
	if made.Kind == spec.NewEvent {
		fmt.Fprintf(b, "\tif (!%s_object)\n\t\treturn status;\n", made.Name)
	}
	if made.Name != "" {
		fmt.Fprintf(b, "\tif (status != %[2]s)\n\t\tsl_discard(%[1]s_object);\n\telse\n\t\t*%[1]s = (%[3]s)%[1]s_object;\n", made.Name, g.Success, g.object(made.Object).Type)
	}
	b.WriteString("\treturn status;\n}\n")
}

// writeLookups finds the objects behind the handles, and returns the first that
// must be there.
func (g generator) writeLookups(b *bytes.Buffer, c spec.Call) string {
	first := ""
	for _, f := range c.Wire {
		if f.Kind != spec.Handle && f.Kind != spec.HandleOrNo && f.Kind != spec.Current {
			continue
		}
		o, given := g.object(f.Object), ""
		find := fmt.Sprintf("sl_find(%s, SL_%s)", f.Name, strings.ToUpper(o.Name))
		switch f.Kind {
		case spec.HandleOrNo:
			given = f.Name + " && "
		case spec.Current:
			find = fmt.Sprintf("sl_current(SL_%s)", strings.ToUpper(o.Name))
		}
		fmt.Fprintf(b, "\tsl_object *%[1]s_object = %[2]s;\n\tif (%[3]s!%[1]s_object)\n\t\treturn %[4]s;\n", f.Name, find, given, o.Invalid)
		if first == "" && given == "" {
			first = f.Name + "_object"
		}
	}
	return first
}

// writeMade makes the object that the call creates, and returns its field. One
// that is no command's event belongs to the thread's current object.
func (g generator) writeMade(b *bytes.Buffer, c spec.Call, first string) spec.Field {
	current := ""
	for _, f := range c.Wire {
		switch {
		case f.Kind == spec.Current:
			current = f.Name + "_object"
		case f.Kind == spec.New && current == "":
			log.Fatalf("%s: nothing says whose %s is", c.Name, f.Name)
		case f.Kind == spec.New:
			fmt.Fprintf(b, "\tsl_object *%[1]s_object = sl_object_new(%[2]s->session, SL_%[3]s, %[2]s, NULL);\n\tif (!%[1]s_object)\n\t\treturn %[4]s;\n", f.Name, current, strings.ToUpper(g.object(f.Object).Name), g.NoMemory)
			return f
		case f.Kind == spec.NewEvent && hasParam(c, f.Name) && c.Command != "":
			fmt.Fprintf(b, "\tsl_object *%[1]s_object = NULL;\n\tif (%[1]s && !(%[1]s_object = sl_event_new(%[2]s, %[3]s)))\n\t\treturn %[4]s;\n", f.Name, first, c.Command, g.NoMemory)
			return f
		}
	}
	return spec.Field{}
}

func (g generator) writeSend(b *bytes.Buffer, c spec.Call, first string) {
	_, passed := g.encoderParams(c)
	send := func(slot string) string {
		return fmt.Sprintf("sl_send_%s(%s)", c.Name, strings.Join(append([]string{"session", slot}, passed...), ", "))
	}
	if first == "" {
		fmt.Fprintf(b, "\tstruct sl_session *session = sl_session();\n\tif (!session)\n\t\treturn %s;\n", g.NoSession)
	} else {
		fmt.Fprintf(b, "\tstruct sl_session *session = %s->session;\n", first)
	}
	parts := answerParts(c)
	if c.Wait == spec.Never {
		if len(parts) > 0 {
			log.Fatalf("%s: nobody waits for its answer", c.Name)
		}
		fmt.Fprintf(b, "\tstatus = %s;\n", send("NULL"))
		return
	}
	fmt.Fprintf(b, "\tstruct sl_slot *slot = sl_slot_take(session);\n\tstatus = %s;\n", send("slot"))
	switch {
	case c.Form == spec.Query || c.Form == spec.SpecialQuery:
		b.WriteString("\tstatus = sl_info_reply(session, slot, status, param_value_size, param_value, param_value_size_ret);\n")
	case len(parts) > 0:
		fmt.Fprintf(b, "\tconst struct sl_part parts[] = {%s};\n\tstatus = sl_answer(session, slot, status, %d, parts);\n", strings.Join(parts, ", "), len(parts))
	default:
		b.WriteString("\tstatus = sl_finish(session, slot, status);\n")
	}
}

// answerParts lists, as C initialisers, where the parts of an answer go.
func answerParts(c spec.Call) (parts []string) {
	for _, f := range c.Wire {
		switch f.Kind {
		case spec.Answer:
			parts = append(parts, fmt.Sprintf("{%[1]s, sizeof(*%[1]s)}", f.Name))
		case spec.AnswerBytes:
			parts = append(parts, fmt.Sprintf("{%s, (size_t)%s}", f.Name, f.Count))
		}
	}
	return parts
}
