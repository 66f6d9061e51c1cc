package dev.pager.alerts;

/** How urgent an incident is. */
enum Priority {
    LOW,
    MEDIUM,
    HIGH,
    CRITICAL;

    /** What is not known is urgent: nobody may sleep through it because of a word. */
    static Priority of(String word) {
        if (word != null) {
            for (Priority one : values()) {
                if (one.word().equals(word)) {
                    return one;
                }
            }
        }
        return HIGH;
    }

    /** As pushes spell it. */
    String word() {
        switch (this) {
            case LOW:
                return "low";
            case MEDIUM:
                return "medium";
            case CRITICAL:
                return "critical";
            default:
                return "high";
        }
    }

    /** Sounds in silent mode, past Do Not Disturb, and covers the lock screen. */
    boolean isUrgent() {
        return this == CRITICAL || this == HIGH;
    }
}
