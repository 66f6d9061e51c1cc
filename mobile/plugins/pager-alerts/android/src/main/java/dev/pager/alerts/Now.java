package dev.pager.alerts;

import android.content.Context;
import android.os.SystemClock;
import android.provider.Settings;
import java.text.SimpleDateFormat;
import java.util.Date;
import java.util.Locale;
import java.util.TimeZone;

/** This moment, by the phone's two clocks: the one that may be set, and the one that only runs. */
final class Now {

    final long millis;
    final long sinceBoot;
    final int boot;

    Now(long millis, long sinceBoot, int boot) {
        this.millis = millis;
        this.sinceBoot = sinceBoot;
        this.boot = boot;
    }

    static Now of(Context context) {
        int boot = Settings.Global.getInt(context.getContentResolver(), Settings.Global.BOOT_COUNT, 0);
        return new Now(System.currentTimeMillis(), SystemClock.elapsedRealtime(), boot);
    }

    /** RFC 3339 in UTC, in the years that four digits have. */
    static String written(long millis) {
        SimpleDateFormat format = new SimpleDateFormat("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'", Locale.ROOT);
        format.setTimeZone(TimeZone.getTimeZone("UTC"));
        return format.format(new Date(Math.max(0, Math.min(millis, 253_402_300_799_000L))));
    }
}
