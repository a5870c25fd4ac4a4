package cloudtrail

// lazyLogs unwraps a CloudWatch Logs subscription message, at which ev stands,
// if it is written as the service writes it: without a pass to find its end, and
// without unescaping its events. array is where logEvents begins, if classify
// came to it.
func (r *run) lazyLogs(b []byte, array int) bool {
	kind := r.ev.at[fieldMessageType]
	if array != 0 || r.ev.seen&(1<<fieldMessageType) == 0 || kind.kind != String || string(r.ev.text(kind)) != "DATA_MESSAGE" {
		return false
	}
	if array = r.logEvents(); array == 0 {
		return false
	}
	// All of it is looked at before anything is emitted.
	texts := r.u.texts[:0]
	for i := array; b[i] != ']'; {
		text := logEventText(b, i+1)
		if text.end < 0 {
			return false
		}
		texts = append(texts, text)
		i = text.end + 2
	}
	if r.u.texts = texts; cap(texts) > keepTexts {
		r.u.texts = nil
	}
	last := texts[len(texts)-1].end + 2
	if end, err := readTail(b, last+1); err != nil || end != len(b) {
		return false
	}
	r.wrapped = true
	for _, text := range texts {
		r.lazyMessage(b[text.start:text.end])
	}
	return true
}

// keepTexts is the most log events whose places are kept for the next message.
const keepTexts = 1 << 16

// logEventText finds the message of the element of logEvents that begins at i.
// Its end is that of the text, behind which are a quote, a brace, and a comma or
// a bracket; -1: the element is not like those that the service writes.
func logEventText(b []byte, i int) span {
	const id, timestamp, message = `{"id":"`, `","timestamp":`, `,"message":"`
	i = digitsBetween(b, i, id, timestamp)
	i = digitsBetween(b, i-len(timestamp), timestamp, message)
	if i < 0 {
		return span{end: -1}
	}
	end := quotedEnd(b, i)
	if end < 0 || end+2 >= len(b) || b[end+1] != '}' || b[end+2] != ',' && b[end+2] != ']' {
		return span{end: -1}
	}
	return span{start: i, end: end}
}

// digitsBetween returns where the text ends that is at i and is begin, digits
// and end; something below 0 if it is not.
func digitsBetween(b []byte, i int, begin, end string) int {
	if i < 0 || !hasAt(b, i, begin) {
		return -1
	}
	i += len(begin)
	digits := i
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	if i == digits || !hasAt(b, i, end) {
		return -1
	}
	return i + len(end)
}

func hasAt(b []byte, i int, text string) bool {
	return len(b)-i >= len(text) && string(b[i:i+len(text)]) == text
}

// lazyMessage is message for a text that is escaped.
func (r *run) lazyMessage(text []byte) {
	if len(text) <= r.u.limits.MaxEvent && r.ev.openQuoted(text) {
		r.put(Item{Kind: ItemEvent})
		return
	}
	entry := &r.u.entry
	entry.openAt(nil, 0)
	r.message(entry.unescape(text))
}
