package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
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
