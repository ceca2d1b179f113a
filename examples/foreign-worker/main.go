// A worker of a foreign service: it counts words and makes slugs of titles.
//
// TooLoo asks for an action by its full name, with one JSON value, and takes one JSON value back.
package main

import (
	"cmp"
	"log"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
)

const taskQueue = "words"

var actions = map[string]any{"words.count": count, "words.frequency": frequency, "words.slug": slug}

type text struct {
	Text string `json:"text"`
}

type counts struct {
	Words      int    `json:"words"`
	Lines      int    `json:"lines"`
	Characters int    `json:"characters"`
	Longest    string `json:"longest"`
}

func count(given text) (counts, error) {
	words := strings.FieldsFunc(given.Text, isBetweenWords)
	longest := ""
	for _, word := range words {
		if utf8.RuneCountInString(word) > utf8.RuneCountInString(longest) {
			longest = word
		}
	}
	lines := strings.Count(given.Text, "\n")
	if given.Text != "" && !strings.HasSuffix(given.Text, "\n") {
		lines++
	}
	return counts{len(words), lines, utf8.RuneCountInString(given.Text), longest}, nil
}

type times struct {
	Word  string `json:"word"`
	Times int    `json:"times"`
}

type frequencies struct {
	Words []times `json:"words"`
}

// The most frequent word comes first.
func frequency(given text) (frequencies, error) {
	seen := map[string]int{}
	for _, word := range strings.FieldsFunc(strings.ToLower(given.Text), isBetweenWords) {
		seen[word]++
	}
	words := make([]times, 0, len(seen)) // an empty list, not null
	for _, word := range slices.Sorted(maps.Keys(seen)) {
		words = append(words, times{word, seen[word]})
	}
	slices.SortStableFunc(words, func(a, b times) int { return cmp.Compare(b.Times, a.Times) })
	return frequencies{words}, nil
}

type slugged struct {
	Slug string `json:"slug"`
}

func slug(given text) (slugged, error) {
	words := strings.FieldsFunc(strings.ToLower(given.Text), isBetweenWords)
	if len(words) == 0 {
		// The type is the code of the step's error. Trying again would not help.
		return slugged{}, temporal.NewNonRetryableApplicationError("the text has neither letters nor digits", "no-words", nil)
	}
	return slugged{strings.Join(words, "-")}, nil
}

func isBetweenWords(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

// Works until it is told to stop by SIGTERM or Ctrl-C.
func run() error {
	options, err := envconfig.LoadDefaultClientOptions() // TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE …
	if err != nil {
		return err
	}
	url := cmp.Or(os.Getenv("TOOLOO_URL"), "http://127.0.0.1:3000")
	options.ExternalStorage = converter.ExternalStorage{
		Drivers:              []converter.StorageDriver{newLargeValues(url, os.Getenv("TOOLOO_KEY"))},
		PayloadSizeThreshold: math.MaxInt, // it reads only
	}
	connection, err := client.Dial(options)
	if err != nil {
		return err
	}
	defer connection.Close()
	words := worker.New(connection, taskQueue, worker.Options{})
	for name, action := range actions {
		words.RegisterActivityWithOptions(action, activity.RegisterOptions{Name: name})
	}
	return words.Run(worker.InterruptCh())
}
