package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Values of --output.
const (
	formatTable = "table"
	formatJSON  = "json"
)

// addOutputFlag gives a command that lists things its --output flag.
func addOutputFlag(command *cobra.Command) *string {
	return command.Flags().StringP("output", "o", formatTable, "how to print: "+formatTable+" or "+formatJSON)
}

// printMessages is printList for messages of the control API.
func printMessages[M proto.Message](w io.Writer, format string, messages []M, header string, rows [][]string) error {
	values, err := protoList(messages)
	if err != nil {
		return err
	}
	return printList(w, format, values, header, rows)
}

// printList writes rows under a header, or the values themselves as JSON.
func printList(w io.Writer, format string, values any, header string, rows [][]string) error {
	switch format {
	case formatJSON:
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(values)
	case formatTable:
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, strings.ReplaceAll(header, " ", "\t"))
		for _, row := range rows {
			fmt.Fprintln(table, strings.Join(row, "\t"))
		}
		return table.Flush()
	}
	return fmt.Errorf("--output is %q, must be %s or %s", format, formatTable, formatJSON)
}

// protoList gives messages the JSON of protocol buffers, with the names that the .proto file has.
func protoList[M proto.Message](messages []M) ([]json.RawMessage, error) {
	list := []json.RawMessage{}
	for _, message := range messages {
		text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(message)
		if err != nil {
			return nil, err
		}
		list = append(list, text)
	}
	return list, nil
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
