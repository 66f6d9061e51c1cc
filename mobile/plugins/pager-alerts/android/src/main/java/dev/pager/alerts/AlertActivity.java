package dev.pager.alerts;

import android.app.Activity;
import android.app.KeyguardManager;
import android.content.Context;
import android.content.Intent;
import android.graphics.Color;
import android.graphics.Typeface;
import android.graphics.drawable.GradientDrawable;
import android.net.Uri;
import android.os.Build;
import android.os.Bundle;
import android.os.Handler;
import android.os.Looper;
import android.provider.Settings;
import android.util.TypedValue;
import android.view.Gravity;
import android.view.View;
import android.view.ViewGroup;
import android.view.WindowManager;
import android.widget.Button;
import android.widget.LinearLayout;
import android.widget.ScrollView;
import android.widget.TextView;
import java.lang.ref.WeakReference;

/**
 * What covers a locked screen: the page, ACKNOWLEDGE, and the way to the app's own screen, which takes unlocking. No
 * WebView: it is there at once, and whoever finds the phone can do no more than answer this page.
 */
public final class AlertActivity extends Activity {

    private static final int CRIMSON = 0xFFDC143C;
    private static final int ORANGE = 0xFFFF8C00;
    private static final int INK = 0xFF1E1E1E;
    private static WeakReference<AlertActivity> open = new WeakReference<>(null);

    private String incidentId;
    private String notificationId;
    private String title;

    static Intent of(Context context, Push push) {
        return new Intent(context, AlertActivity.class)
            .setData(Uri.fromParts("pager-alert", push.notificationId, null))
            .addFlags(Intent.FLAG_ACTIVITY_NEW_TASK | Intent.FLAG_ACTIVITY_NO_USER_ACTION)
            .putExtra(Push.INCIDENT_ID, push.incidentId)
            .putExtra(Push.NOTIFICATION_ID, push.notificationId)
            .putExtra(Push.TEST, push.isTest)
            .putExtra(Push.PRIORITY, push.priority.word())
            .putExtra(Push.TITLE, push.title)
            .putExtra(Push.BODY, push.body);
    }

    /** It was answered or is over; null: whatever it shows. */
    static void finish(String incidentId) {
        new Handler(Looper.getMainLooper()).post(() -> {
            AlertActivity one = open.get();
            if (one != null && (incidentId == null || incidentId.equals(one.incidentId))) {
                one.finish();
            }
        });
    }

    @Override
    protected void onCreate(Bundle state) {
        super.onCreate(state);
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.O_MR1) {
            setShowWhenLocked(true);
            setTurnScreenOn(true);
        } else {
            getWindow().addFlags(
                WindowManager.LayoutParams.FLAG_SHOW_WHEN_LOCKED | WindowManager.LayoutParams.FLAG_TURN_SCREEN_ON
            );
        }
        getWindow().addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
        show(getIntent());
    }

    @Override
    protected void onNewIntent(Intent intent) {
        super.onNewIntent(intent);
        setIntent(intent);
        show(intent);
    }

    @Override
    protected void onDestroy() {
        if (open.get() == this) {
            open = new WeakReference<>(null);
        }
        super.onDestroy();
    }

    private void show(Intent intent) {
        incidentId = intent.getStringExtra(Push.INCIDENT_ID);
        notificationId = intent.getStringExtra(Push.NOTIFICATION_ID);
        title = Texts.line(intent.getStringExtra(Push.TITLE), Texts.TITLE);
        if (!Push.isId(incidentId) || !Push.isId(notificationId)) {
            finish();
            return;
        }
        open = new WeakReference<>(this);
        Priority priority = Priority.of(intent.getStringExtra(Push.PRIORITY));
        setContentView(screen(priority, Texts.block(intent.getStringExtra(Push.BODY), Texts.BODY)));
    }

    private View screen(Priority priority, String body) {
        boolean isCritical = priority == Priority.CRITICAL;
        int back = isCritical ? CRIMSON : ORANGE;
        int ink = isCritical ? Color.WHITE : INK; // each at 4.5 to 1 or more on its ground
        boolean isHidden = isHidden();

        LinearLayout column = new LinearLayout(this);
        column.setOrientation(LinearLayout.VERTICAL);
        column.setGravity(Gravity.CENTER_HORIZONTAL);
        column.setPadding(size(24), size(48), size(24), size(32));
        column.addView(circle(priority, ink), new LinearLayout.LayoutParams(size(120), size(120)));
        String shown = isHidden ? getString(R.string.pager_hidden) : title;
        column.addView(text(shown, 32, ink, Typeface.BOLD), wide());
        if (!isHidden) {
            column.addView(text(body, 18, ink, Typeface.NORMAL), wide());
        }
        boolean isTest = getIntent().getBooleanExtra(Push.TEST, false);
        if (!isTest && new Vault(this).credential() != null) {
            column.addView(
                button(R.string.pager_acknowledge_long, 60, INK, Color.WHITE, view -> acknowledge()),
                wide()
            );
        }
        if (!isTest) {
            column.addView(
                button(R.string.pager_call_lead_long, 50, Color.WHITE, INK, view -> open(Openings.CALL_LEAD)),
                wide()
            );
        }
        String how = isTest ? Openings.TEST : Openings.OPEN;
        column.addView(button(R.string.pager_open, 50, Color.WHITE, INK, view -> open(how)), wide());

        ScrollView whole = new ScrollView(this);
        whole.setFillViewport(true);
        whole.setBackgroundColor(back);
        whole.addView(column);
        return whole;
    }

    private void acknowledge() {
        Acks.acknowledge(this, incidentId, notificationId, title, () -> {});
        finish();
    }

    /** The app's own screens are for whoever can unlock the phone. */
    private void open(String how) {
        Intent intent = Openings.intent(this, incidentId, notificationId, how);
        KeyguardManager guard = getSystemService(KeyguardManager.class);
        if (guard == null || !guard.isKeyguardLocked()) {
            startActivity(intent);
            finish();
            return;
        }
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.O) {
            getWindow().addFlags(WindowManager.LayoutParams.FLAG_DISMISS_KEYGUARD);
            startActivity(intent);
            finish();
            return;
        }
        guard.requestDismissKeyguard(
            this,
            new KeyguardManager.KeyguardDismissCallback() {
                @Override
                public void onDismissSucceeded() {
                    startActivity(intent);
                    finish();
                }
            }
        );
    }

    /** As the phone's owner has it for notifications on the lock screen. */
    private boolean isHidden() {
        KeyguardManager guard = getSystemService(KeyguardManager.class);
        if (guard == null || !guard.isKeyguardLocked()) {
            return false;
        }
        try {
            return Settings.Secure.getInt(getContentResolver(), "lock_screen_allow_private_notifications", 1) == 0;
        } catch (SecurityException notTold) {
            return false;
        }
    }

    private TextView circle(Priority priority, int ink) {
        GradientDrawable ring = new GradientDrawable();
        ring.setShape(GradientDrawable.OVAL);
        ring.setStroke(size(6), ink);
        int name = priority == Priority.CRITICAL ? R.string.pager_critical : R.string.pager_high;
        TextView circle = text(getString(name), 18, ink, Typeface.BOLD);
        circle.setGravity(Gravity.CENTER);
        circle.setBackground(ring);
        circle.setPadding(size(14), size(14), size(14), size(14));
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.O) {
            circle.setMaxLines(1);
            circle.setAutoSizeTextTypeWithDefaults(TextView.AUTO_SIZE_TEXT_TYPE_UNIFORM); // also at 200 % text
        }
        return circle;
    }

    private TextView text(String text, int sp, int color, int style) {
        TextView view = new TextView(this);
        view.setText(text); // a plain string: no markup is read from it
        view.setTextSize(TypedValue.COMPLEX_UNIT_SP, sp);
        view.setTextColor(color);
        view.setTypeface(Typeface.DEFAULT, style);
        view.setGravity(Gravity.CENTER_HORIZONTAL);
        view.setTextDirection(View.TEXT_DIRECTION_FIRST_STRONG);
        return view;
    }

    private Button button(int text, int height, int back, int ink, View.OnClickListener touched) {
        Button button = new Button(this);
        button.setText(text);
        button.setTextSize(TypedValue.COMPLEX_UNIT_SP, 18);
        button.setTextColor(ink);
        button.setMinHeight(size(height));
        button.setAllCaps(false);
        GradientDrawable ground = new GradientDrawable();
        ground.setColor(back);
        ground.setCornerRadius(size(8));
        button.setBackground(ground);
        button.setOnClickListener(touched);
        return button;
    }

    private LinearLayout.LayoutParams wide() {
        LinearLayout.LayoutParams wide = new LinearLayout.LayoutParams(
            ViewGroup.LayoutParams.MATCH_PARENT,
            ViewGroup.LayoutParams.WRAP_CONTENT
        );
        wide.topMargin = size(16);
        return wide;
    }

    private int size(int dp) {
        return Math.round(dp * getResources().getDisplayMetrics().density);
    }
}
