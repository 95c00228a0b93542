package main

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sluice/vdev/spec"
)

// dispatcher is the worker's codec and dispatcher. A hand-written handler is a
// method of thread with the call's name.
func dispatcher() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "// %s\n\npackage dispatch\n\n// #include \"driver.h\"\nimport \"C\"\n\nimport \"unsafe\"\n\n", notice)
	b.WriteString("// Kinds of object.\nconst (\n\tnoObject kind = iota\n")
	for _, o := range spec.Objects {
		fmt.Fprintf(&b, "\tkind%s\n", title(o.Name))
	}
	b.WriteString(")\n\n// releaseDriver drops the driver's object of a kind.\nfunc releaseDriver(k kind, driver unsafe.Pointer) C.cl_int {\n\tswitch k {\n")
	for _, o := range spec.Objects {
		if o.Release != "" {
			fmt.Fprintf(&b, "\tcase kind%s:\n\t\treturn C.%s(%s(driver))\n", title(o.Name), o.Release, cast(o))
		}
	}
	b.WriteString("\t}\n\treturn C.CL_SUCCESS\n}\n\n// callName names a call in logs.\nfunc callName(number uint16) string {\n\tswitch number {\n")
	for _, c := range messages() {
		fmt.Fprintf(&b, "\tcase %d:\n\t\treturn %q\n", c.Number, c.Name)
	}
	b.WriteString("\t}\n\treturn \"unknown\"\n}\n\n")
	b.WriteString("// dispatch carries out the thread's frame and returns the driver's status. A\n// frame that breaks the protocol sets t.violation.\nfunc (t *thread) dispatch(number uint16) C.cl_int {\n\tswitch number {\n")
	for _, c := range messages() {
		fmt.Fprintf(&b, "\tcase %d:\n\t\treturn t.do%s()\n", c.Number, title(c.Name))
	}
	b.WriteString("\t}\n\tt.violate(\"unknown call %d\", number)\n\treturn 0\n}\n")
	for _, c := range messages() {
		writeHandler(&b, c)
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

// decoded lists a message's fields as Go values.
func decoded(c spec.Call) (names, types, reads []string) {
	add := func(name, typ, read string) {
		names, types, reads = append(names, camel(name)), append(types, typ), append(reads, read)
	}
	for _, f := range c.Wire {
		o := "noObject"
		if f.Object != spec.NoObject {
			o = "kind" + title(object(f.Object).Name)
		}
		switch f.Kind {
		case spec.Scalar:
			add(f.Name, "C."+f.Type, fmt.Sprintf("C.%s(t.scalar())", f.Type))
		case spec.Handle:
			add(f.Name, "*object", fmt.Sprintf("t.handle(%s)", o))
		case spec.HandleOrNo:
			add(f.Name, "*object", fmt.Sprintf("t.handleOrNo(%s)", o))
		case spec.Handles:
			add(f.Name, "list", fmt.Sprintf("t.handles(%s)", o))
		case spec.WaitList:
			add(f.Name, "list", "t.waitList()")
		case spec.Ticket:
			add(f.Name, "uint32", "t.ticket()")
		case spec.Sizes:
			add(f.Name, "*C.size_t", "t.sizes()")
		case spec.Bytes:
			read := "t.bytes()"
			if _, err := strconv.Atoi(f.Count); err == nil {
				read = fmt.Sprintf("t.bytesExactly(%s)", f.Count)
			}
			add(f.Name, "[]byte", read)
		case spec.New:
			add(f.Name, "*object", fmt.Sprintf("t.created(%s)", o))
		case spec.NewEvent:
			add(f.Name, "*object", "t.createdOrNo(kindEvent)")
		}
	}
	return names, types, reads
}

func writeHandler(b *bytes.Buffer, c spec.Call) {
	names, types, reads := decoded(c)
	special := c.Form == spec.Special || c.Form == spec.SpecialWorker || c.Form == spec.SpecialQuery
	if special && len(names) > 0 {
		fmt.Fprintf(b, "\ntype args%s struct {\n", title(c.Name))
		for i := range names {
			fmt.Fprintf(b, "\t%s %s\n", names[i], types[i])
		}
		b.WriteString("}\n")
	}
	fmt.Fprintf(b, "\nfunc (t *thread) do%s() C.cl_int {\n", title(c.Name))
	if special {
		if len(names) == 0 {
			fmt.Fprintf(b, "\tif !t.complete() {\n\t\treturn t.refused\n\t}\n\treturn t.%s()\n}\n", c.Name)
			return
		}
		fmt.Fprintf(b, "\ta := args%s{\n", title(c.Name))
		for i := range names {
			fmt.Fprintf(b, "\t\t%s: %s,\n", names[i], reads[i])
		}
		fmt.Fprintf(b, "\t}\n\tif !t.complete() {\n\t\treturn t.refused\n\t}\n\treturn t.%s(a)\n}\n", c.Name)
		return
	}
	for i := range names {
		fmt.Fprintf(b, "\t%s := %s\n", names[i], reads[i])
	}
	b.WriteString("\tif !t.complete() {\n\t\treturn t.refusedCommand()\n\t}\n")
	writeDriverCall(b, c)
}

func writeDriverCall(b *bytes.Buffer, c spec.Call) {
	var arguments []string
	event := ""
	for _, f := range c.Wire {
		name := camel(f.Name)
		switch f.Kind {
		case spec.Scalar:
			arguments = append(arguments, name)
		case spec.Handle:
			arguments = append(arguments, fmt.Sprintf("%s(%s.driver)", cast(object(f.Object)), name))
		case spec.HandleOrNo:
			arguments = append(arguments, fmt.Sprintf("%s(%s.driverOrNil())", cast(object(f.Object)), name))
		case spec.Handles, spec.WaitList:
			arguments = append(arguments, name+".count", fmt.Sprintf("list%s(%s)", title(object(f.Object).Name), name))
		case spec.Sizes:
			arguments = append(arguments, name)
		case spec.Bytes:
			pair := []string{fmt.Sprintf("pointer(%s)", name), fmt.Sprintf("C.size_t(len(%s))", name)}
			if !hasParam(c, f.Count) {
				pair = pair[:1]
			} else if strings.Index(c.Params, f.Count) < strings.Index(c.Params, "*"+f.Name) {
				slices.Reverse(pair)
			}
			arguments = append(arguments, pair...)
		case spec.NewEvent:
			event = name
			arguments = append(arguments, fmt.Sprintf("t.eventOut(%s)", name))
		}
	}
	if c.Form == spec.Query {
		fmt.Fprintf(b, "\treturn t.query(func(size C.size_t, value unsafe.Pointer, sizeRet *C.size_t) C.cl_int {\n\t\treturn C.%s(%s, size, value, sizeRet)\n\t})\n}\n", c.Name, strings.Join(arguments, ", "))
		return
	}
	fmt.Fprintf(b, "\tstatus := C.%s(%s)\n", c.Name, strings.Join(arguments, ", "))
	if event != "" {
		fmt.Fprintf(b, "\tt.keepEvent(%s, status)\n", event)
	}
	if c.Wire[0].Kind == spec.Handle && c.Wire[0].Object == spec.Queue {
		fmt.Fprintf(b, "\treturn t.enqueued(%s, status)\n}\n", camel(c.Wire[0].Name))
		return
	}
	b.WriteString("\treturn status\n}\n")
}
