package main

import (
	"bytes"
	"fmt"
	"log"
	"strconv"
	"strings"

	"sluice/vdev/spec"
)

// dispatcher is the worker's codec and dispatcher. A hand-written handler is a
// method of thread with the call's name.
func (g generator) dispatcher() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "// %s\n\npackage dispatch\n\n// #include \"driver.h\"\nimport \"C\"\n\nimport \"unsafe\"\n\n", notice)
	b.WriteString("// Kinds of object.\nconst (\n\tnoObject kind = iota\n")
	for _, o := range g.Objects {
		fmt.Fprintf(&b, "\tkind%s\n", title(o.Name))
	}
	fmt.Fprintf(&b, ")\n\n// releaseDriver drops the driver's object of a kind.\nfunc releaseDriver(k kind, driver unsafe.Pointer) C.%s {\n\tswitch k {\n", g.Status)
	for _, o := range g.Objects {
		if o.Release != "" {
			fmt.Fprintf(&b, "\tcase kind%s:\n\t\treturn C.%s(%s(driver))\n", title(o.Name), o.Release, cast(o))
		}
	}
	fmt.Fprintf(&b, "\t}\n\treturn C.%s\n}\n\n// callName names a call in logs.\nfunc callName(number uint16) string {\n\tswitch number {\n", g.Success)
	for _, c := range g.messages() {
		fmt.Fprintf(&b, "\tcase %d:\n\t\treturn %q\n", c.Number, c.Name)
	}
	b.WriteString("\t}\n\treturn \"unknown\"\n}\n\n")
	fmt.Fprintf(&b, "// dispatch carries out the thread's frame and returns the driver's status. A\n// frame that breaks the protocol sets t.violation.\nfunc (t *thread) dispatch(number uint16) C.%s {\n\tswitch number {\n", g.Status)
	for _, c := range g.messages() {
		fmt.Fprintf(&b, "\tcase %d:\n\t\treturn t.do%s()\n", c.Number, title(c.Name))
	}
	b.WriteString("\t}\n\tt.violate(\"unknown call %d\", number)\n\treturn 0\n}\n")
	for _, c := range g.messages() {
		g.writeHandler(&b, c)
	}
	return b.Bytes()
}

func title(name string) string { return strings.ToUpper(name[:1]) + name[1:] }

func camel(name string) string {
	parts := strings.Split(name, "_")
	for i := 1; i < len(parts); i++ {
		if parts[i] != "" {
			parts[i] = title(parts[i])
		}
	}
	return strings.Join(parts, "")
}

func cast(o spec.ObjectName) string { return "driver" + title(o.Name) }

// cType spells a C type as cgo does.
func cType(typ string) string {
	words := strings.Fields(typ)
	if words[0] == "unsigned" {
		return "C.u" + strings.Join(words[1:], "")
	}
	return "C." + typ
}

// reading is a field that the worker decodes, as a Go value.
type reading struct {
	field           spec.Field
	name, typ, read string
}

// decoded lists a message's fields that travel to the worker.
func (g generator) decoded(c spec.Call) (readings []reading) {
	for _, f := range c.Wire {
		o := "noObject"
		if f.Object != spec.NoObject {
			o = "kind" + title(g.object(f.Object).Name)
		}
		typ, read := "", ""
		switch f.Kind {
		case spec.Scalar:
			typ = cType(f.Type)
			read = typ + "(t.scalar())"
		case spec.Handle:
			typ, read = "*object", fmt.Sprintf("t.handle(%s)", o)
		case spec.HandleOrNo:
			typ, read = "*object", fmt.Sprintf("t.handleOrNo(%s)", o)
		case spec.Current:
			typ, read = "*object", fmt.Sprintf("t.current(%s)", o)
		case spec.Handles:
			typ, read = "list", fmt.Sprintf("t.handles(%s)", o)
		case spec.WaitList:
			typ, read = "list", "t.waitList()"
		case spec.Ticket:
			typ, read = "uint32", "t.ticket()"
		case spec.Address:
			typ, read = "address", "t.address()"
		case spec.Sizes:
			typ, read = "*C.size_t", "t.sizes()"
		case spec.Bytes:
			typ, read = "[]byte", "t.bytes()"
			if _, err := strconv.Atoi(f.Count); err == nil {
				read = fmt.Sprintf("t.bytesExactly(%s)", f.Count)
			}
		case spec.String:
			typ, read = "[]byte", "t.text()"
		case spec.AnswerBytes:
			typ, read = "[]byte", "t.answerBytes()"
		case spec.Parameters:
			typ, read = "*unsafe.Pointer", fmt.Sprintf("t.parameters(%s)", camel(f.Count))
		case spec.New:
			typ, read = "*object", fmt.Sprintf("t.created(%s)", o)
		case spec.NewList:
			typ, read = "[]*object", fmt.Sprintf("t.createdList(%s)", o)
		case spec.NewEvent:
			typ, read = "*object", fmt.Sprintf("t.createdOrNo(%s)", o)
		case spec.Answer:
			continue
		}
		readings = append(readings, reading{f, camel(f.Name), typ, read})
	}
	return readings
}

func (g generator) writeHandler(b *bytes.Buffer, c spec.Call) {
	readings := g.decoded(c)
	special := c.Form == spec.Special || c.Form == spec.SpecialWorker || c.Form == spec.SpecialQuery
	if special && len(readings) > 0 {
		fmt.Fprintf(b, "\ntype args%s struct {\n", title(c.Name))
		for _, r := range readings {
			fmt.Fprintf(b, "\t%s %s\n", r.name, r.typ)
		}
		b.WriteString("}\n")
	}
	fmt.Fprintf(b, "\nfunc (t *thread) do%s() C.%s {\n", title(c.Name), g.Status)
	if special {
		if len(readings) == 0 {
			fmt.Fprintf(b, "\tif !t.complete() {\n\t\treturn t.refused\n\t}\n\treturn t.%s()\n}\n", c.Name)
			return
		}
		fmt.Fprintf(b, "\ta := args%s{\n", title(c.Name))
		for _, r := range readings {
			fmt.Fprintf(b, "\t\t%s: %s,\n", r.name, r.read)
		}
		b.WriteString("\t}\n")
		writeSpans(b, readings, "a.")
		fmt.Fprintf(b, "\tif !t.complete() {\n\t\treturn t.refused\n\t}\n\treturn t.%s(a)\n}\n", c.Name)
		return
	}
	for _, r := range readings {
		if r.field.Kind == spec.Current {
			fmt.Fprintf(b, "\t%s\n", r.read)
			continue
		}
		fmt.Fprintf(b, "\t%s := %s\n", r.name, r.read)
	}
	writeSpans(b, readings, "")
	b.WriteString("\tif !t.complete() {\n\t\treturn t.refusedCommand()\n\t}\n")
	g.writeDriverCall(b, c)
}

// writeSpans checks that what a call touches from an address on is the Lease's.
func writeSpans(b *bytes.Buffer, readings []reading, of string) {
	for _, r := range readings {
		if r.field.Kind != spec.Address || r.field.Count == "" {
			continue
		}
		count, size := "", "1"
		for _, other := range readings {
			switch {
			case other.field.Name == r.field.Count:
				count = fmt.Sprintf("uint64(%s%s)", of, other.name)
			case other.typ == "[]byte" && other.field.Count == r.field.Count:
				count = fmt.Sprintf("uint64(len(%s%s))", of, other.name)
			}
		}
		if r.field.Type != "" {
			size = strings.Replace(cType(r.field.Type), "C.", "C.sizeof_", 1)
		}
		if count == "" {
			log.Fatalf("%s: nothing travels for %s", r.field.Name, r.field.Count)
		}
		fmt.Fprintf(b, "\tt.span(%s%s, %s, %s)\n", of, r.name, count, size)
	}
}

func (g generator) writeDriverCall(b *bytes.Buffer, c spec.Call) {
	arguments := strings.Join(g.arguments(c), ", ")
	if c.Form == spec.Query {
		fmt.Fprintf(b, "\treturn t.query(func(size C.size_t, value unsafe.Pointer, sizeRet *C.size_t) C.%s {\n\t\treturn C.%s(%s, size, value, sizeRet)\n\t})\n}\n", g.Status, c.Name, arguments)
		return
	}
	result, answers := "status", ""
	for _, f := range c.Wire {
		name := camel(f.Name)
		switch f.Kind {
		case spec.Answer:
			fmt.Fprintf(b, "\tvar %s %s\n", name, cType(f.Type))
			answers += fmt.Sprintf("\t\tt.tell(unsafe.Pointer(&%[1]s), unsafe.Sizeof(%[1]s))\n", name)
		case spec.AnswerBytes:
			answers += fmt.Sprintf("\t\tt.tell(pointer(%[1]s), uintptr(len(%[1]s)))\n", name)
		case spec.New:
			fmt.Fprintf(b, "\tvar made %s\n", cType(g.object(f.Object).Type))
			result = fmt.Sprintf("t.keep(%s, unsafe.Pointer(made), status)", name)
		}
	}
	if c.Wait == spec.Finished {
		b.WriteString("\tt.yield()\n")
	}
	fmt.Fprintf(b, "\tstatus := C.%s(%s)\n", c.Name, arguments)
	if answers != "" {
		fmt.Fprintf(b, "\tif status == C.%s {\n%s\t}\n", g.Success, answers)
	}
	for i, f := range c.Wire {
		switch {
		case f.Kind == spec.NewEvent:
			fmt.Fprintf(b, "\tt.keepEvent(%s, status)\n", camel(f.Name))
		case i == 0 && f.Kind == spec.Handle && f.Object == g.Queue:
			result = fmt.Sprintf("t.enqueued(%s, status)", camel(f.Name))
		}
	}
	fmt.Fprintf(b, "\treturn %s\n}\n", result)
}

// arguments lists what the driver's function is given. An info query's last three
// are the query's own.
func (g generator) arguments(c spec.Call) (arguments []string) {
	all := params(c)
	if c.Form == spec.Query {
		all = all[:len(all)-3]
	}
	for _, p := range all {
		if p.decl != "void" {
			arguments = append(arguments, g.argument(c, p))
		}
	}
	return arguments
}

// argument is the driver's argument for a parameter: its field, or the length of
// one. A pointer for which nothing travels is NULL, as the checks have it.
func (g generator) argument(c spec.Call, p param) string {
	for _, f := range c.Wire {
		if f.Name == p.name {
			return g.fieldArgument(f, p)
		}
	}
	for _, f := range c.Wire {
		if f.Count != p.name {
			continue
		}
		switch f.Kind {
		case spec.Handles, spec.WaitList:
			return camel(f.Name) + ".count"
		case spec.Bytes, spec.AnswerBytes:
			return fmt.Sprintf("%s(len(%s))", cType(p.typ), camel(f.Name))
		}
	}
	if !strings.HasSuffix(p.typ, "*") {
		log.Fatalf("%s: nothing travels for %s", c.Name, p.name)
	}
	return "nil"
}

func (g generator) fieldArgument(f spec.Field, p param) string {
	name := camel(f.Name)
	switch f.Kind {
	case spec.Handle:
		return fmt.Sprintf("%s(%s.driver)", cast(g.object(f.Object)), name)
	case spec.HandleOrNo:
		return fmt.Sprintf("%s(%s.driverOrNil())", cast(g.object(f.Object)), name)
	case spec.Handles, spec.WaitList:
		return fmt.Sprintf("list%s(%s)", title(g.object(f.Object).Name), name)
	case spec.Address:
		return name + ".pointer"
	case spec.Bytes, spec.String, spec.AnswerBytes:
		if element := strings.Trim(strings.TrimPrefix(p.typ, "const "), " *"); element != "void" {
			return fmt.Sprintf("(*%s)(pointer(%s))", cType(element), name)
		}
		return fmt.Sprintf("pointer(%s)", name)
	case spec.NewEvent:
		return fmt.Sprintf("t.eventOut(%s)", name)
	case spec.New:
		return "&made"
	case spec.Answer:
		return "&" + name
	}
	return name
}
