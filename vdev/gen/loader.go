package main

import (
	"bytes"
	"fmt"
	"slices"

	"sluice/vdev/spec"
)

// icdExports are core functions that the shim exports by hand, for loaders.
var icdExports = []string{"clGetPlatformInfo", "clGetExtensionFunctionAddress"}

// loaderFunctions exports the core functions under their own names, for programs that find no loader.
func loaderFunctions() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "/* %s */\n#include \"../calls.h\"\n#include \"trace.h\"\n\n#define EXPORT __attribute__((visibility(\"default\")))\n", notice)
	for _, c := range spec.OpenCL.Calls {
		if c.Version == "" || slices.Contains(icdExports, c.Name) {
			continue
		}
		fmt.Fprintf(&b, "\nEXPORT %s CL_API_CALL %s(%s)\n{\n\treturn sl_calls->%s(%s);\n}\n",
			c.Returns, c.Name, c.Params, c.Name, argumentNames(c))
	}
	return b.Bytes()
}

// loaderMap gives each core function the symbol version that loaders give it: that of the API which brought it.
func loaderMap() []byte {
	functions := make(map[string][]string)
	for _, c := range spec.OpenCL.Calls {
		if c.Version != "" {
			functions[c.Version] = append(functions[c.Version], c.Name)
		}
	}
	var versions []string
	for version := range functions {
		versions = append(versions, version)
	}
	slices.Sort(versions)
	var b bytes.Buffer
	fmt.Fprintf(&b, "/* %s */\n", notice)
	before := ""
	for _, version := range versions {
		fmt.Fprintf(&b, "OPENCL_%s {\nglobal:\n", version)
		for _, name := range functions[version] {
			fmt.Fprintf(&b, "\t%s;\n", name)
		}
		if before == "" {
			b.WriteString("local:\n\t*;\n")
		}
		fmt.Fprintf(&b, "}%s;\n", before)
		before = " OPENCL_" + version
	}
	return b.Bytes()
}
