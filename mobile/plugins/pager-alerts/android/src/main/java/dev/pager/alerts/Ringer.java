package dev.pager.alerts;

import android.content.Context;
import android.media.MediaPlayer;
import android.os.Handler;
import android.os.Looper;
import android.os.VibrationEffect;
import android.os.Vibrator;
import android.util.Log;
import java.io.IOException;

/** Sound and vibration while the app is in front, until somebody answers, and never for ever. */
final class Ringer {

    static final int USUAL = 60;
    private static final int LONGEST = 120;
    private static final Handler MAIN = new Handler(Looper.getMainLooper());
    private static final Runnable END = Ringer::stop;

    /** The incident that rings; null: none, or the app has not said which. */
    private static String about;
    private static MediaPlayer player;
    private static Vibrator vibrator;

    private Ringer() {}

    static void ring(Context context, Priority priority, int seconds, String incidentId) {
        Context app = context.getApplicationContext();
        MAIN.post(() -> {
            start(app, priority, Math.max(1, Math.min(seconds, LONGEST)));
            about = incidentId;
        });
    }

    static void silence() {
        MAIN.post(END);
    }

    /** Only where it rings for this one. */
    static void silence(String incidentId) {
        MAIN.post(() -> {
            if (incidentId.equals(about)) {
                stop();
            }
        });
    }

    private static void start(Context context, Priority priority, int seconds) {
        stop();
        MAIN.removeCallbacks(END);
        MAIN.postDelayed(END, seconds * 1_000L);
        play(context, priority);
        long[] pattern = Channels.vibration(priority);
        vibrator = context.getSystemService(Vibrator.class);
        if (vibrator != null && vibrator.hasVibrator() && pattern != null) {
            if (android.os.Build.VERSION.SDK_INT >= android.os.Build.VERSION_CODES.O) {
                vibrator.vibrate(VibrationEffect.createWaveform(pattern, 0), Channels.attributes(priority));
            } else {
                vibrator.vibrate(pattern, 0);
            }
        }
    }

    private static void play(Context context, Priority priority) {
        MediaPlayer made = new MediaPlayer();
        try {
            made.setAudioAttributes(Channels.attributes(priority));
            made.setDataSource(context, Channels.sound(context, priority));
            made.setLooping(priority.isUrgent());
            made.prepare();
            made.start();
            player = made;
        } catch (IOException | IllegalStateException | SecurityException mute) {
            made.release();
            Log.w("Pager", "no sound: " + mute.getClass().getSimpleName());
        }
    }

    private static void stop() {
        about = null;
        if (player != null) {
            player.release();
            player = null;
        }
        if (vibrator != null) {
            vibrator.cancel();
            vibrator = null;
        }
    }
}
