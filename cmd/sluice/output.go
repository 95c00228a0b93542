package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Values of --output.
const (
	formatTable = "table"
	formatJSON  = "json"
	formatYAML  = "yaml"
)

var formats = []string{formatTable, formatJSON, formatYAML}

// addOutputFlag gives a command that prints things its --output flag.
func addOutputFlag(command *cobra.Command) *string {
	output := formatTable
	command.Flags().VarP((*outputFormat)(&output), "output", "o", "how to print: "+strings.Join(formats, ", "))
	complete := cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)
	if err := command.RegisterFlagCompletionFunc("output", complete); err != nil {
		panic(err)
	}
	return &output
}

// outputFormat is the value of --output.
type outputFormat string

func (f *outputFormat) String() string { return string(*f) }
func (f *outputFormat) Type() string   { return "format" }

func (f *outputFormat) Set(text string) error {
	if !slices.Contains(formats, text) {
		return fmt.Errorf("must be one of %s", strings.Join(formats, ", "))
	}
	*f = outputFormat(text)
	return nil
}

// printMessages is printList for messages of the control API.
func printMessages[M proto.Message](w io.Writer, format string, messages []M, header string, rows [][]string) error {
	values, err := protoList(messages)
	if err != nil {
		return err
	}
	return printList(w, format, values, header, rows)
}

// printList writes rows under a header, or the values themselves as JSON or YAML.
func printList(w io.Writer, format string, values any, header string, rows [][]string) error {
	if format != formatTable {
		return printValue(w, format, values)
	}
	return printTable(w, header, rows)
}

func printTable(w io.Writer, header string, rows [][]string) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, strings.ReplaceAll(header, " ", "\t"))
	for _, row := range rows {
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	return table.Flush()
}

// printValue writes a value as JSON, or as the YAML of the same names in the same order. No list is an empty one.
func printValue(w io.Writer, format string, value any) error {
	if list := reflect.ValueOf(value); list.Kind() == reflect.Slice && list.IsNil() {
		value = []any{}
	}
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	if format == formatYAML {
		var node yaml.Node // JSON is YAML of another style
		if err := yaml.Unmarshal(text, &node); err != nil {
			return err
		}
		restyle(&node)
		encoder := yaml.NewEncoder(w)
		encoder.SetIndent(2)
		return errors.Join(encoder.Encode(&node), encoder.Close())
	}
	_, err = fmt.Fprintf(w, "%s\n", text)
	return err
}

// restyle takes JSON's braces and quotes off; the encoder puts quotes where YAML needs them.
func restyle(node *yaml.Node) {
	node.Style = 0
	for _, child := range node.Content {
		restyle(child)
	}
}

// protoList gives messages the JSON of protocol buffers, with the names that the .proto file has.
func protoList[M proto.Message](messages []M) ([]json.RawMessage, error) {
	list := []json.RawMessage{}
	for _, message := range messages {
		text, err := protoJSON(message)
		if err != nil {
			return nil, err
		}
		list = append(list, text)
	}
	return list, nil
}

func protoJSON(message proto.Message) (json.RawMessage, error) {
	return protojson.MarshalOptions{UseProtoNames: true}.Marshal(message)
}

// formatBytes writes a size in the largest binary unit that keeps it a whole number, or with one decimal.
func formatBytes(bytes uint64) string {
	const units = "KMGTPE"
	if bytes < 1024 {
		return fmt.Sprintf("%dB", bytes)
	}
	size, unit := float64(bytes)/1024, 0
	for size >= 1024 && unit < len(units)-1 {
		size /= 1024
		unit++
	}
	return strings.Replace(fmt.Sprintf("%.1f%ci", size, units[unit]), ".0", "", 1)
}

// formatSince writes how long ago a time was, in seconds; "-" for none.
func formatSince(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return now.Sub(t).Truncate(time.Second).String()
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
