package main

import (
	"bytes"
	"fmt"
	"strings"

	"sluice/vdev/spec"
)

// writeTraced writes a call's traced function: its own one between a begin and
// an end. A status that the program does not ask for is asked for in its place.
func writeTraced(b *bytes.Buffer, c spec.Call) {
	fmt.Fprintf(b, "static %s CL_API_CALL traced_%s(%s)\n{\n\tstruct sl_traced call;\n", c.Returns, c.Name, c.Params)
	status := "NULL"
	switch {
	case c.Returns == "cl_int":
		status = "&result"
	case hasParam(c, "errcode_ret"):
		status = "errcode_ret"
		b.WriteString("\tcl_int status = CL_SUCCESS;\n\tif (!errcode_ret)\n\t\terrcode_ret = &status;\n")
	}
	result, end := c.Returns+" result = ", "\treturn result;\n"
	if c.Returns == "void" {
		result, end = "", ""
	}
	fmt.Fprintf(b, "\tsl_trace_begin(&call);\n\t%ssl_%s(%s);\n\tsl_trace_end(&call, \"%s\", %s);\n%s}\n\n",
		result, c.Name, argumentNames(c), c.Name, status, end)
}

// argumentNames is how a function passes its parameters on.
func argumentNames(c spec.Call) string {
	var names []string
	for _, p := range params(c) {
		if p.decl != "void" {
			names = append(names, p.name)
		}
	}
	return strings.Join(names, ", ")
}
